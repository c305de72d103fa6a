"""The four kinds of component, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from PIL.Image import Image
from torch import Tensor, nn

from cobra_kit.interfaces.decode_state import DecodeState
from cobra_kit.interfaces.layout import FusedSequence, Layout, LayoutBatch, TextRow
from cobra_kit.interfaces.text import TextCodec
from cobra_kit.interfaces.tokens import EncoderSizes, PreparedImage, TokenShape, VisualTokens


@dataclass(frozen=True, slots=True)
class KernelReport:
    """The kernel a layer would use here, why, and what would make it faster (None if nothing)."""

    layer: str
    kernel: str
    reason: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class PretrainedFile:
    """A file that a component's weights come from.

    Attributes:
        repository: The hub repository, `owner/name`; None for a local file.
        file: Its path in the repository, or an `fnmatch` pattern on such paths; of a local file, its path.
        revision: Branch, tag or commit of the repository; None: the main branch.
    """

    repository: str | None
    file: str
    revision: str | None = None


class Component(nn.Module, ABC):
    """The part of the contract that the four kinds share.

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

    @classmethod
    def pretrained_files(cls, config: Any) -> tuple[PretrainedFile, ...]:
        """Returns the files that `load_pretrained` reads for this config, without fetching or building anything.

        So what a recipe would download is known before memory and network are spent on it. The default: none. A
        component whose `load_pretrained` does something names its files here too.
        """
        return ()

    @classmethod
    def sizes_follow_config(cls, config: Any) -> bool:
        """Returns whether what `__init__` builds for this config follows from the config and the code alone.

        Then `recipes validate` remembers its sizes until the config, the code of the package or an installed package
        changes. The default: no, as `__init__` may read a file that the config names.
        """
        return False

    def unused_parameters(self) -> Mapping[str, int]:
        """Returns how many parameters never run, by what they belong to, such as a head that a checkpoint brings."""
        return {}

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the repeated units, for sharding, activation checkpointing and compilation."""
        return ()

    def published_names(self) -> Mapping[str, str]:
        """Returns, per name of the own `state_dict()`, the name of that tensor in the published layout; one to one.

        Checkpoints of others are read and written under these names: a projector's are those of Cobra and Prismatic
        (`projector.0.weight`), a backbone's those of the published language model, head included
        (`backbone.layers.0.mixer.D`, `lm_head.weight`). The default: the own names are the published ones.
        """
        return {name: name for name in self.state_dict()}


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

    @classmethod
    def known_sizes(cls, config: Any) -> EncoderSizes | None:
        """Returns what an encoder of this config comes to, where that is known without building it, else None.

        Worth it where building imports a large library that a look at a recipe need not wait for. The default: None,
        the encoder is built on the meta device.
        """
        return None

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
        graph_safe: Whether `embed`, `step` and `logits` may be captured into a CUDA graph: they work in place on the
            state, never look at a value on the device, and depend on the host through `DecodeState.used` alone.
        step_grows: Whether a step's work grows with `DecodeState.used`. The core then captures one graph per
            `used` rounded up; else one serves all.
        lora_targets: Names of linear modules that LoRA may wrap.
        never_quantise: Names of parameters that must keep their precision.
    """

    hidden_size: int
    vocab_size: int
    graph_safe: ClassVar[bool] = False
    step_grows: ClassVar[bool] = False
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

    def step_by_call(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Does what `step` does by calling the module on rows of one token: `[b d]` -> `[b d]`.

        So whatever is attached to it or to a module inside it runs, hooks and wrappers; `step` may pass them by.
        """
        rows, device = embeddings.shape[0], embeddings.device
        layout = LayoutBatch(
            source=torch.zeros(rows, 1, dtype=torch.int64, device=device),
            segment_ids=torch.ones(rows, 1, dtype=torch.int32, device=device),
            positions=state.lengths.long().unsqueeze(1),
            labels=None,
            cu_seqlens=torch.arange(rows + 1, dtype=torch.int32, device=device),
            lengths=(1,) * rows,
        )
        hidden: Tensor = self(FusedSequence(embeddings.unsqueeze(1), layout), state)
        return hidden[:, 0]

    def kernels(self) -> Sequence[KernelReport]:
        """Returns which kernel each layer would use on this machine, and why."""
        return ()
