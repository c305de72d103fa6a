"""Mamba-1 as a backbone: state-spaces' `MambaLMHeadModel` over embeddings, with a decode state of constant size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from cobra_kit.errors import KernelError, NotFinishedError, ShapeError, WeightsError
from cobra_kit.interfaces import Backbone, DecodeState, FusedSequence, KernelReport, TextCodec
from cobra_kit.weights import load_into, load_tensors
from cobra_kit_mamba.block import MambaBlock, RMSNorm
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.initialise import initialise
from cobra_kit_mamba.reports import kernel_reports
from cobra_kit_mamba.selection import compute_dtype

Self = TypeVar("Self", bound="MambaBackbone")


class MambaLayers(nn.Module):
    """The parameters under `backbone.`: embedding, blocks, last norm."""

    def __init__(self, config: MambaConfig, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.d_model)
        self.layers = nn.ModuleList(MambaBlock(config) for _ in range(config.n_layer))
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)


class MambaBackbone(Backbone):
    """A Mamba-1 language model.

    The embedding has more rows than the tokenizer has ids; the logits of the further ones mean nothing.

    Gradients do not flow through a `DecodeState`: it is for decoding, not for training on long rows in parts.
    """

    lora_targets: ClassVar[tuple[str, ...]] = ("in_proj", "x_proj", "out_proj")
    never_quantise: ClassVar[tuple[str, ...]] = ("A_log", "D", "dt_proj.weight", "dt_proj.bias")

    def __init__(self, config: MambaConfig) -> None:
        super().__init__(config)
        self.config = config
        multiple = config.pad_vocab_multiple
        tokens = config.vocab_size or self.text_codec(config).tokenizer.vocab_size
        self.hidden_size = config.d_model
        self.vocab_size = -(-tokens // multiple) * multiple
        self.backbone = MambaLayers(config, self.vocab_size)
        self.lm_head = nn.Linear(config.d_model, self.vocab_size, bias=False)
        self._tie()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills all parameters as `initialise.py` says."""
        layers = self.backbone
        initialise(self.config, layers.embedding, self.blocks(), layers.norm_f, generator)

    def load_pretrained(self) -> None:
        """Loads state-spaces' names from the path that `config.weights` gives; nothing where it is `none`.

        Raises:
            NotFinishedError: `weights` is `hub`.
            WeightsError: The weights cannot be found, read, or do not fit.
        """
        weights, hub_id = self.config.weights, self.config.hub_id
        if weights == "none":
            return
        if weights == "hub" and hub_id is not None:
            raise NotFinishedError(
                f"reading the published weights of {hub_id} is not in this version",
                hint="give a file or folder of state-spaces' form as `weights`, or `weights: none` for random values",
            )
        if weights in ("hub", "packaged"):
            raise WeightsError(
                f"this backbone has no weights of the kind {weights!r}",
                hint="give a file or folder as `weights`, or `weights: none` for random values",
            )
        load_into(self, load_tensors(weights), source=weights)

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the residual blocks."""
        return list(self.backbone.layers)

    @classmethod
    def text_codec(cls, config: MambaConfig) -> TextCodec:
        """Returns tokenizer and template, without weights.

        Raises:
            NotFinishedError: The weights go with a tokenizer that this version does not have.
        """
        from cobra_kit.text.templates import BaseTemplate, ChatTemplate
        from cobra_kit.text.tokenizer import small_tokenizer

        if config.tokenizer != "small":
            raise NotFinishedError(
                f"the tokenizer {config.tokenizer} is not in this version", hint="use mamba/tiny, or `tokenizer: small`"
            )
        template = ChatTemplate() if config.template == "chat" else BaseTemplate()
        return TextCodec(small_tokenizer(), template, config.max_text_tokens)

    def embed(self, ids: Tensor) -> Tensor:
        """Returns the embeddings `[t d]` of ids `[t]`."""
        embeddings: Tensor = self.backbone.embedding(ids)
        return embeddings

    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the normed hidden states `[b s d]`; see `Backbone.forward`.

        Raises:
            KernelError: The layout is packed.
            ShapeError: The embeddings do not fit the model, the layout or the state.
        """
        hidden, layout = sequence.embeddings, sequence.layout
        self._check(hidden, layout.segment_ids, state)
        if layout.packed:
            raise KernelError(
                "rows with several segments need a scan that resets between them, which this version does not have",
                hint="switch packing off",
            )
        if any(length < hidden.shape[1] for length in layout.lengths):
            # Padding points at another row's token: what is wrong there must not come here.
            hidden = hidden.masked_fill((layout.segment_ids == 0).unsqueeze(-1), 0.0)
        residual = self._residual(hidden)
        for i, block in enumerate(self._blocks()):
            if state is None:
                residual = block(residual)
            else:
                conv, ssm = state.tensors[f"conv.{i}"], state.tensors[f"ssm.{i}"]
                residual = block(residual, conv, ssm, layout.segment_ids)
        if state is not None:
            state.lengths.add_((layout.segment_ids != 0).sum(1, dtype=state.lengths.dtype))
        normed: Tensor = self.backbone.norm_f(residual)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`, padded rows included."""
        logits: Tensor = self.lm_head(hidden)
        return logits

    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        """Returns an empty state; its size does not depend on `max_length`.

        `conv.N` is `[b d_inner d_conv]` in `dtype`, `ssm.N` `[b d_inner d_state]` in float32 (float64 if `dtype` is).
        """
        inner, config = self.config.d_inner, self.config
        tensors: dict[str, Tensor] = {}
        for i in range(config.n_layer):
            tensors[f"conv.{i}"] = torch.zeros(batch, inner, config.d_conv, device=device, dtype=dtype)
            tensors[f"ssm.{i}"] = torch.zeros(batch, inner, config.d_state, device=device, dtype=compute_dtype(dtype))
        return DecodeState(tensors, torch.zeros(batch, device=device, dtype=torch.int32))

    @torch.no_grad()
    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Advances every row by one token, in place, without a sync: `[b d]` -> normed hidden states `[b d]`."""
        residual = self._residual(embeddings)
        for i, block in enumerate(self._blocks()):
            residual = block.step(residual, state.tensors[f"conv.{i}"], state.tensors[f"ssm.{i}"])
        state.lengths.add_(1)
        normed: Tensor = self.backbone.norm_f(residual)
        return normed

    def kernels(self) -> Sequence[KernelReport]:
        """Returns which kernels the layers would use on the device and in the dtype of the parameters."""
        return kernel_reports(self.config, self.backbone.embedding.weight)

    def _tie(self) -> None:
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
        if state is not None and state.lengths.shape[0] != hidden.shape[0]:
            raise ShapeError(f"the state has {state.lengths.shape[0]} rows, but the embeddings {hidden.shape[0]}")
