"""What plugin authors *implement*: the four contracts and the values that flow between them.

The one idea: a fusion scheme lays out integers on the host, the device does one gather. So samplers, the data
check and cost estimates know every length without touching a model, and the core, never a plugin, batches, pads,
packs and decodes.

    image --VisionEncoder--> [k n d_vision] --Projector--> [k m hidden_size]
    text  --Backbone.embed--> [t hidden_size]          FusionScheme gathers both into [b s hidden_size]
    FusedSequence --Backbone--> hidden states [b s hidden_size] --Backbone.logits--> [.. vocab_size]

Letters in shapes: b rows, k images in the batch (not rows), n and m visual tokens, t text tokens, v visual tokens
of the whole batch, s fused length, d width, h w pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from PIL.Image import Image
from torch import Tensor, nn

IGNORE_INDEX = -100
"""The label of a position that carries no loss."""

TEXT, VISUAL, EXTRA = 0, 1, 2
"""The values of `Layout.kind`."""


@dataclass(frozen=True, slots=True)
class TokenShape:
    """The visual tokens of ONE image, known on the host.

    Args:
        num_tokens: Tokens of the image.
        grid: (rows, columns), with rows * columns == num_tokens and row-major token order; None after a resampler.
    """

    num_tokens: int
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.num_tokens < 1:
            raise ValueError(f"an image has at least one token, not {self.num_tokens}")
        if self.grid is not None and self.grid[0] * self.grid[1] != self.num_tokens:
            raise ValueError(f"a grid of {self.grid[0]} x {self.grid[1]} does not hold {self.num_tokens} tokens")


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One image as tensors on the CPU, made without weights, by a picklable callable.

    Args:
        tensors: Named inputs of the encoder, each `[3 h w]`, such as `{"dino": ..., "siglip": ...}`.
        shape: The tokens that the encoder will return for it.
    """

    tensors: Mapping[str, Tensor]
    shape: TokenShape


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """Visual tokens of k images.

    The core calls encoders and projectors with images of one `TokenShape` at a time.

    Args:
        values: `[k n d]`; row i holds `shapes[i].num_tokens` real tokens, padded on the right.
        shapes: k of them, on the host, so that nobody syncs with the device to learn a length.
    """

    values: Tensor
    shapes: tuple[TokenShape, ...]


@dataclass(frozen=True, slots=True)
class TextRow:
    """One tokenised conversation, image markers removed.

    Args:
        ids: Token ids, `[t]`.
        labels: Per token the id to learn, or `IGNORE_INDEX`; unshifted.
        image_slots: Per image, in order: the index in `ids` before which its marker stood (0..t).
        question_end: The index in `ids` just after the first user message's text, before its closing tokens.
        answer_start: The index in `ids` of the first answer's first token, or t where there is none yet.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    image_slots: tuple[int, ...]
    question_end: int
    answer_start: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where every token of one row of length s stands. Picklable, host only.

    Args:
        kind: Per position `TEXT`, `VISUAL` or `EXTRA`.
        index: Per position the index into the row's ids, into the row's visual tokens (images in order), or into
            the scheme's extra embeddings.
        labels: Per position the id to learn, or `IGNORE_INDEX`; aligned with the position, unshifted.
    """

    kind: Sequence[int]
    index: Sequence[int]
    labels: Sequence[int]


@dataclass(frozen=True, slots=True)
class LayoutBatch:
    """Layouts collated by the core.

    Args:
        source: `[b s]` int64, index into cat(text, visual, extras); padding points at 0.
        segment_ids: `[b s]` int32; 0 is right padding, 1.. are the packed rows.
        positions: `[b s]` int64, restarting in each segment.
        labels: `[b s]` int64, or None at generation.
        cu_seqlens: `[segments + 1]` int32, cumulative lengths over unpadded tokens.
        lengths: Real tokens per row, on the host.
    """

    source: Tensor
    segment_ids: Tensor
    positions: Tensor
    labels: Tensor | None
    cu_seqlens: Tensor
    lengths: tuple[int, ...]

    @property
    def max_length(self) -> int:
        """Returns the length of the longest row, in tokens, known on the host."""
        return max(self.lengths, default=0)

    @property
    def packed(self) -> bool:
        """Returns whether a row holds more than one segment."""
        return self.cu_seqlens.numel() - 1 > len(self.lengths)

    def to(self, device: torch.device | str) -> LayoutBatch:
        """Returns the same layout with its tensors on `device`."""
        return LayoutBatch(
            source=self.source.to(device, non_blocking=True),
            segment_ids=self.segment_ids.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
            cu_seqlens=self.cu_seqlens.to(device, non_blocking=True),
            lengths=self.lengths,
        )


@dataclass(frozen=True, slots=True)
class FusedSequence:
    """The input of a backbone: `embeddings` `[b s d]` and the layout that made it."""

    embeddings: Tensor
    layout: LayoutBatch


@dataclass(slots=True)
class DecodeState:
    """What a backbone remembers between steps. Owned by the core, updated in place by the backbone.

    The tensors keep their addresses for the whole generation, so a CUDA graph may hold them.

    Args:
        tensors: Named and batch-first: `conv.0`, `ssm.0` (constant size) or `k.0`, `v.0` (growing use).
        lengths: `[b]` int32 on the device: tokens seen per row.
    """

    tensors: dict[str, Tensor]
    lengths: Tensor

    @property
    def nbytes(self) -> int:
        """Returns the size of the state in bytes."""
        return sum(t.numel() * t.element_size() for t in (*self.tensors.values(), self.lengths))

    def reset(self, rows: Tensor | None = None) -> None:
        """Empties the state of `rows` (a `[r]` index tensor), or of every row, in place."""
        for tensor in (*self.tensors.values(), self.lengths):
            if rows is None:
                tensor.zero_()
            else:
                tensor[rows] = 0

    def select(self, rows: Tensor) -> DecodeState:
        """Returns a new state that holds `rows` (a `[r]` index tensor) in that order."""
        return DecodeState(
            tensors={name: tensor.index_select(0, rows) for name, tensor in self.tensors.items()},
            lengths=self.lengths.index_select(0, rows),
        )


@dataclass(frozen=True, slots=True)
class TemplateSegment:
    """A stretch of prompt text that is tokenised as a whole.

    Args:
        text: The text; image markers are already removed.
        supervised: Whether its tokens carry loss.
        message: (start, end) of the user's message within `text`, in characters; None for an answer.
    """

    text: str
    supervised: bool
    message: tuple[int, int] | None = None


@runtime_checkable
class PromptTemplate(Protocol):
    """Turns a conversation into text. Picklable, no weights."""

    def render(self, turns: Sequence[tuple[str, str | None]], *, for_generation: bool) -> Sequence[TemplateSegment]:
        """Returns the segments of (question, answer) turns.

        Args:
            turns: Messages without image markers, already stripped. With `for_generation` the last answer is None
                and the text ends where the model's answer begins.
            for_generation: Whether the last turn is to be answered.
        """
        ...

    def render_caption(self, caption: str) -> Sequence[TemplateSegment]:
        """Returns the segments of a bare caption, all supervised (the align stage, PAPER.md 1.8)."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """What the core asks of a tokenizer. Picklable."""

    @property
    def eos_id(self) -> int:
        """Returns the id that ends an answer."""
        ...

    @property
    def vocab_size(self) -> int:
        """Returns the number of ids the tokenizer can produce (padding of the embedding excluded)."""
        ...

    def encode(self, text: str) -> list[int]:
        """Returns the ids of `text`; special tokens written out in the text become their single id."""
        ...

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Returns the ids of `text` and, per id, its (start, end) in characters."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of `ids`, special tokens left out."""
        ...


@dataclass(frozen=True, slots=True)
class TextCodec:
    """Everything text needs, without weights: data workers and checks need no model.

    Args:
        tokenizer: Text to ids and back.
        template: The prompt template of the backbone's family.
        max_text_tokens: Longer text is cut, in tokens (visual tokens come on top).
    """

    tokenizer: Tokenizer
    template: PromptTemplate
    max_text_tokens: int


@dataclass(frozen=True, slots=True)
class KernelReport:
    """Which kernel a layer would use here, why, and what would make it faster (None if nothing)."""

    layer: str
    kernel: str
    reason: str
    remedy: str | None = None


class Component(nn.Module, ABC):
    """What the four kinds share.

    `__init__` builds shapes only, so it works on the meta device; `reset_parameters` gives every parameter and every
    buffer a value. The core builds on meta, allocates, resets with a seed, then calls `load_pretrained`.
    """

    @abstractmethod
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills all parameters and all buffers, non-persistent ones too, in place on the CPU.

        Args:
            generator: Source of randomness; the same generator state gives the same values. None: torch's own.
        """

    def load_pretrained(self) -> None:
        """Loads the weights that the component's config names; does nothing where it names none.

        Raises:
            WeightsError: The weights cannot be found, read, or do not fit.
        """

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the repeated units, for sharding, activation checkpointing and compilation."""
        return ()


class VisionEncoder(Component):
    """Image -> tensors (no weights needed), tensors -> visual tokens `[k n d]`.

    Attributes:
        width: Channels of a visual token, `d`.
    """

    width: int

    @abstractmethod
    def __init__(self, config: Any) -> None:
        super().__init__()

    @classmethod
    @abstractmethod
    def preprocess(cls, config: Any) -> Callable[[Image], PreparedImage]:
        """Returns a picklable callable that prepares one RGB image, without weights."""

    @classmethod
    @abstractmethod
    def max_shape(cls, config: Any) -> TokenShape:
        """Returns the largest token shape that `preprocess` can announce."""

    @abstractmethod
    def forward(self, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
        """Encodes k images of one size.

        Args:
            images: Per name `[k 3 h w]`, as `preprocess` names them.
            shapes: k equal shapes.

        Returns:
            Visual tokens `[k n width]`.
        """


class Projector(Component):
    """Visual tokens `[k n d]` -> `[k m hidden_size]`."""

    @abstractmethod
    def __init__(self, config: Any, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__()

    @classmethod
    @abstractmethod
    def output_shape(cls, config: Any, shape: TokenShape) -> TokenShape:
        """Returns the shape of one image's tokens after projection.

        Raises:
            ShapeError: The projector cannot take this shape; the message names both.
        """

    @abstractmethod
    def forward(self, tokens: VisualTokens) -> VisualTokens:
        """Projects the tokens of k images of one shape: `[k n in_width]` -> `[k m out_width]`."""


class FusionScheme(Component):
    """Decides where text, visual and its own extra tokens stand in a row."""

    @abstractmethod
    def __init__(self, config: Any, *, hidden_size: int) -> None:
        super().__init__()

    @classmethod
    @abstractmethod
    def layout(cls, config: Any, text: TextRow, images: Sequence[TokenShape]) -> Layout:
        """Returns the layout of one row with no image, one, or several.

        Args:
            config: The scheme's config.
            text: The row's text; `len(text.image_slots) == len(images)`.
            images: Token shapes *after* the projector, in the order of the markers.
        """

    def extra_embeddings(self) -> Tensor | None:
        """Returns the scheme's own embeddings `[e hidden_size]` (separators and the like), or None."""
        return None

    def forward(self, text: Tensor, visual: Tensor, batch: LayoutBatch) -> FusedSequence:
        """Gathers the rows.

        Args:
            text: Text embeddings of the whole batch, `[t d]`, rows in order, unpadded.
            visual: Visual tokens of the whole batch, `[v d]`, images in order, unpadded.
            batch: Where each position comes from.
        """
        extra = self.extra_embeddings()
        parts = [text, visual.to(text.dtype)]
        if extra is not None:
            parts.append(extra.to(text.dtype))
        return FusedSequence(torch.cat(parts)[batch.source], batch)


class Backbone(Component):
    """A language model over embeddings.

    Padding is on the right and changes no real token; a batch equals its rows one by one; stepping equals the full
    pass.

    Attributes:
        hidden_size: Width of embeddings and hidden states.
        vocab_size: Rows of the embedding, padding included.
        graph_safe: Whether `step` may be captured into a CUDA graph.
        lora_targets: Names of linear modules that LoRA may wrap.
        never_quantise: Names of parameters that must keep their precision.
    """

    hidden_size: int
    vocab_size: int
    graph_safe: ClassVar[bool] = False
    lora_targets: ClassVar[tuple[str, ...]] = ()
    never_quantise: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __init__(self, config: Any) -> None:
        super().__init__()

    @classmethod
    @abstractmethod
    def text_codec(cls, config: Any) -> TextCodec:
        """Returns tokenizer and template, without weights."""

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Returns the embeddings `[t d]` of ids `[t]`."""

    @abstractmethod
    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the normed hidden states `[b s d]`.

        With a state: one segment per row, continued from the state, which is left as it was after each row's last
        REAL token.
        """

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`. The core calls it on chunks."""

    @abstractmethod
    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        """Returns an empty state for `batch` rows of at most `max_length` tokens (visual ones included)."""

    @abstractmethod
    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Advances every row by one token, in place, without a sync: `[b d]` -> normed hidden states `[b d]`."""

    def kernels(self) -> Sequence[KernelReport]:
        """Returns which kernel each layer would use on this machine, and why."""
        return ()
