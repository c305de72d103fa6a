"""Mamba as a backbone: state-spaces' `MambaLMHeadModel` over embeddings, with a decode state of constant size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from cobra_kit.errors import KernelError, ShapeError
from cobra_kit.interfaces import Backbone, DecodeState, FusedSequence, KernelReport, PretrainedFile, TextCodec
from cobra_kit_mamba.block import MambaBlock, RMSNorm
from cobra_kit_mamba.called import is_hooked
from cobra_kit_mamba.config import MambaConfig, MambaFamilyConfig
from cobra_kit_mamba.fused_step import one_call_step
from cobra_kit_mamba.initialise import initialise
from cobra_kit_mamba.pretrained import load_published, pretrained_files
from cobra_kit_mamba.reports import kernel_reports
from cobra_kit_mamba.selection import compute_dtype
from cobra_kit_mamba.step_plan import find_plan
from cobra_kit_mamba.tokenizer import family_codec

Self = TypeVar("Self", bound="MambaLanguageModel")


class MambaLayers(nn.Module):
    """The parameters under `backbone.`: embedding, blocks, last norm."""

    def __init__(self, config: MambaFamilyConfig, vocab_size: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.d_model)
        self.layers = nn.ModuleList(blocks)
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)
        self._built = [(type(block), type(block.mixer)) for block in blocks]

    def forward(
        self,
        residual: Tensor,
        state: DecodeState | None = None,
        segment_ids: Tensor | None = None,
        starts: Tensor | None = None,
    ) -> Tensor:
        """Returns the normed hidden states `[b s d]` behind the last block.

        Args:
            residual: `[b s d]`, what goes into the first block.
            state: Continued and updated in place; None: a fresh start, nothing kept.
            segment_ids: `[b s]`, 0 for right padding. Needed with a state.
            starts: `[b s]`, true where a token begins a segment. Not with a state.
        """
        added: Tensor | None = None
        for i, block in enumerate(self.layers):
            if state is None:
                residual, added = block(residual, added, starts=starts)
            else:
                conv, ssm = state.tensors[f"conv.{i}"], state.tensors[f"ssm.{i}"]
                residual, added = block(residual, added, conv, ssm, segment_ids)
        normed: Tensor = self.norm_f(residual, added)[1]
        return normed

    def must_be_called(self) -> bool:
        """Returns whether something is attached to this module, a block or a mixer, which `step` would pass by."""
        if is_hooked(self):
            return True
        for block, built in zip(self.layers, self._built, strict=False):
            if type(block) is not built[0] or is_hooked(block):
                return True
            mixer = cast("nn.Module", block.mixer)
            if type(mixer) is not built[1] or is_hooked(mixer):
                return True
        return False


class MambaLanguageModel(Backbone):
    """The base of the two generations of Mamba: everything around the mixer.

    The embedding has more rows than the tokenizer has ids; the logits of the further ones mean nothing.

    Gradients do not flow through a `DecodeState`: it is for decoding, not for training on long rows in parts.
    """

    never_quantise: ClassVar[tuple[str, ...]] = ("A_log", "D")
    graph_safe: ClassVar[bool] = True  # `step` waits for nothing, and what it allocates depends on shapes alone

    def __init__(self, config: MambaFamilyConfig) -> None:
        super().__init__(config)
        self.config = config
        tokens = config.vocab_size or self.text_codec(config).tokenizer.vocab_size
        self.hidden_size = config.d_model
        self.vocab_size = config.padded(tokens)
        self.backbone = MambaLayers(config, self.vocab_size, [self.new_block() for _ in range(config.n_layer)])
        self.lm_head = nn.Linear(config.d_model, self.vocab_size, bias=False)
        self._tie()

    @abstractmethod
    def new_block(self) -> MambaBlock:
        """Returns a residual block around this generation's mixer."""

    @abstractmethod
    def state_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns the shapes of a layer's two states for one row: of the convolution and of the state space."""

    def load_pretrained(self) -> None:
        """Loads what `config.weights` names, in either published form; see `pretrained.load_published`.

        Raises:
            WeightsError: The weights cannot be found, read, or do not fit.
        """
        load_published(self, self.config)

    @classmethod
    def sizes_follow_config(cls, config: MambaFamilyConfig) -> bool:
        """Returns True: weights are no part of what is built."""
        return True

    @classmethod
    def pretrained_files(cls, config: MambaFamilyConfig) -> tuple[PretrainedFile, ...]:
        """Returns the files that `weights` names, without fetching them; of alternatives the preferred one."""
        return pretrained_files(config)

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the residual blocks."""
        return list(self.backbone.layers)

    @classmethod
    def text_codec(cls, config: MambaFamilyConfig) -> TextCodec:
        """Returns tokenizer and template, without weights; see `tokenizer.family_codec`.

        Raises:
            TextError: The tokenizer cannot be found or read, or has more ids than the embedding has rows.
        """
        return family_codec(config)

    def embed(self, ids: Tensor) -> Tensor:
        """Returns the embeddings `[t d]` of ids `[t]`."""
        embeddings: Tensor = self.backbone.embedding(ids)
        return embeddings

    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the normed hidden states `[b s d]`; see `Backbone.forward`.

        Raises:
            KernelError: The layout is packed and a state is given.
            ShapeError: The embeddings do not fit the model, the layout or the state.
        """
        hidden, layout = sequence.embeddings, sequence.layout
        self._check(hidden, layout.segment_ids, state)
        if layout.packed and state is not None:
            raise KernelError(
                "a decode state holds one segment per row, but the layout is packed", hint="decode without packing"
            )
        if any(length < hidden.shape[1] for length in layout.lengths):
            # Padding points at another row's token: what is wrong there must not come here.
            hidden = hidden.masked_fill((layout.segment_ids == 0).unsqueeze(-1), 0.0)
        starts = _starts(layout.segment_ids) if layout.packed else None
        normed: Tensor = self.backbone(self._residual(hidden), state, layout.segment_ids, starts)
        if state is not None:
            state.lengths.add_((layout.segment_ids != 0).sum(1, dtype=state.lengths.dtype))
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`, padded rows included."""
        logits: Tensor = self.lm_head(hidden)
        return logits

    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        """Returns an empty state; its size does not depend on `max_length`.

        `conv.N` is in `dtype`, `ssm.N` in float32 (float64 if `dtype` is); `state_shapes` has their shapes.
        """
        conv, ssm = self.state_shapes()
        tensors: dict[str, Tensor] = {}
        for i in range(self.config.n_layer):
            tensors[f"conv.{i}"] = torch.zeros(batch, *conv, device=device, dtype=dtype)
            tensors[f"ssm.{i}"] = torch.zeros(batch, *ssm, device=device, dtype=compute_dtype(dtype))
        return DecodeState(tensors, torch.zeros(batch, device=device, dtype=torch.int32))

    @torch.no_grad()
    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Advances every row by one token, in place, without a sync: `[b d]` -> normed hidden states `[b d]`.

        Where something is attached to a block or a mixer, they are called, on rows of one token.

        Raises:
            ShapeError: The embeddings or the state do not fit the model or each other.
        """
        self._check_step(embeddings, state)
        if self.backbone.must_be_called():
            return self.step_by_call(embeddings, state)
        residual, added = self._residual(embeddings), None
        for i, block in enumerate(self._blocks()):
            residual, added = block.step(residual, added, state.tensors[f"conv.{i}"], state.tensors[f"ssm.{i}"])
        state.lengths.add_(1)
        normed: Tensor = self.backbone.norm_f(residual, added)[1]
        return normed

    def _tie(self) -> None:
        modules = (self.lm_head, self.backbone.embedding)
        if all("weight" in module._parameters for module in modules):  # not where an adapter is around one of them
            self.lm_head.weight = self.backbone.embedding.weight

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch has no types for it
        self._tie()  # allocating from the meta device makes two parameters of one
        return self

    def _blocks(self) -> Sequence[MambaBlock]:
        return cast(Sequence[MambaBlock], self.backbone.layers)

    def _residual(self, hidden: Tensor) -> Tensor:
        return hidden.to(compute_dtype(hidden.dtype)) if self.config.residual_in_fp32 else hidden

    def _check(self, hidden: Tensor, segment_ids: Tensor, state: DecodeState | None) -> None:
        if hidden.dim() != 3 or hidden.shape[2] != self.hidden_size:
            raise ShapeError(f"embeddings must be [b s {self.hidden_size}], not {list(hidden.shape)}")
        if segment_ids.shape != hidden.shape[:2]:
            raise ShapeError(f"the layout is {list(segment_ids.shape)}, but the embeddings {list(hidden.shape)}")
        places = {"the model": self.backbone.embedding.weight, "the layout": segment_ids}
        places |= {} if state is None else {"the state": state.lengths}
        for name, tensor in places.items():
            if tensor.device != hidden.device:
                raise ShapeError(f"{name} is on {tensor.device}, but the embeddings are on {hidden.device}")
        if state is not None and state.lengths.shape[0] != hidden.shape[0]:
            raise ShapeError(f"the state has {state.lengths.shape[0]} rows, but the embeddings {hidden.shape[0]}")

    def _check_step(self, embeddings: Tensor, state: DecodeState) -> None:
        if embeddings.dim() != 2 or embeddings.shape[1] != self.hidden_size:
            raise ShapeError(f"a step takes embeddings [b {self.hidden_size}], not {list(embeddings.shape)}")
        expected = [(embeddings.shape[0], *shape) for shape in self.state_shapes()]
        for i in range(self.config.n_layer):
            for kind, shape in zip(("conv", "ssm"), expected, strict=True):
                tensor = state.tensors.get(f"{kind}.{i}")
                if tensor is None or tuple(tensor.shape) != shape:
                    actual = "missing" if tensor is None else f"{list(tensor.shape)}"
                    raise ShapeError(f"{kind}.{i} of the decode state must be {list(shape)}, but is {actual}")


def _starts(segment_ids: Tensor) -> Tensor:
    """Returns `[b s]`: where a segment begins, or padding; the first token sees nothing anyway."""
    starts = torch.zeros_like(segment_ids, dtype=torch.bool)
    starts[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return starts


class MambaBackbone(MambaLanguageModel):
    """A Mamba-1 language model."""

    lora_targets: ClassVar[tuple[str, ...]] = ("in_proj", "x_proj", "out_proj")
    never_quantise: ClassVar[tuple[str, ...]] = ("A_log", "D", "dt_proj.weight", "dt_proj.bias")
    config: MambaConfig

    def __init__(self, config: MambaConfig) -> None:
        super().__init__(config)

    def new_block(self) -> MambaBlock:
        """Returns a block with the Mamba-1 mixer."""
        return MambaBlock(self.config)

    def state_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns `[d_inner d_conv]` and `[d_inner d_state]`."""
        config = self.config
        return (config.d_inner, config.d_conv), (config.d_inner, config.d_state)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills all parameters as `initialise.py` says."""
        layers = self.backbone
        initialise(self.config, layers.embedding, self.blocks(), layers.norm_f, generator)

    @torch.no_grad()
    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Does what `MambaLanguageModel.step` does, `[b d]` -> `[b d]`, in one call for a plain model on the CPU."""
        normed = one_call_step(self.backbone, embeddings, state)
        return super().step(embeddings, state) if normed is None else normed

    def kernels(self) -> Sequence[KernelReport]:
        """Returns which kernels the layers would use on the device and in the dtype of the parameters."""
        return kernel_reports(self.config, self.backbone.embedding.weight, find_plan(self.backbone).obstacle)
