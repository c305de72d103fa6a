"""The base of every backbone here: transformers' decoder over embeddings, under the contract of `Backbone`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import Backbone, DecodeState, FusedSequence, KernelReport, LayoutBatch
from cobra_kit_transformer.architecture import cache_argument
from cobra_kit_transformer.slots import FirstPass, NextPass, Slots, Step


@dataclass(frozen=True, slots=True)
class CacheShape:
    """The size of the keys, and of the values, of one token: layers x heads x channels."""

    layers: int
    heads: int
    head_dim: int


class DecoderBackbone(Backbone):
    """A decoder of transformers with full, causal attention, and a linear head."""

    graph_safe: ClassVar[bool] = True
    step_grows: ClassVar[bool] = True

    @property
    @abstractmethod
    def decoder(self) -> nn.Module:
        """Returns transformers' decoder: embeddings to normed hidden states."""

    @property
    @abstractmethod
    def embedding(self) -> Tensor:
        """Returns the embedding `[vocab_size d]`."""

    @property
    @abstractmethod
    def embedding_module(self) -> nn.Module:
        """Returns the module of ids to embeddings, which is called, so that hooks on it and wrappers of it run."""

    @property
    @abstractmethod
    def head(self) -> nn.Linear | None:
        """Returns the head, or None where it is the embedding's transpose.

        A shared parameter would come apart when the core allocates a model that was built on the meta device.
        """

    @property
    @abstractmethod
    def cache_shape(self) -> CacheShape:
        """Returns what a decode state holds per token."""

    @property
    @abstractmethod
    def attention(self) -> str:
        """Returns how attention is computed, `sdpa` or `eager`."""

    def embed(self, ids: Tensor) -> Tensor:
        """Returns the embeddings `[t d]` of ids `[t]`."""
        embeddings: Tensor = self.embedding_module(ids)
        return embeddings

    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the normed hidden states `[b s d]`; with a state, continues its rows.

        Right padding needs no mask: attention is causal, so no real token sees it. In packed rows a token sees its own
        segment only.

        Raises:
            ShapeError: A row would outgrow the state, or holds several segments to be continued.
        """
        embeddings, layout = sequence.embeddings, sequence.layout
        if any(length < embeddings.shape[1] for length in layout.lengths):
            # A weight of zero times what is not finite is not zero: what is wrong in the padding must not come here.
            embeddings = embeddings.masked_fill((layout.segment_ids == 0).unsqueeze(-1), 0.0)
        if state is not None:
            if layout.packed:
                raise ShapeError(
                    f"a decode state continues one segment per row, not {layout.cu_seqlens.numel() - 1} segments in "
                    f"{len(layout.lengths)} rows",
                    hint="Give each segment a row of its own, padded on the right.",
                )
            if state.used == 0:
                return self._run_cached(embeddings, FirstPass(state, embeddings.shape[1], layout.lengths))
            if embeddings.shape[1] == 1 and min(layout.lengths, default=0) == 1:
                return self._run_cached(embeddings, Step(state))
            real = (layout.segment_ids != 0).sum(dim=1)
            return self._run_cached(embeddings, NextPass(state, embeddings.shape[1], real))
        if layout.packed:
            mask = segment_mask(layout, embeddings.dtype)
            return self._run(embeddings, attention_mask=mask, position_ids=layout.positions)
        return self._run(embeddings)

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`."""
        if self.head is None:
            return F.linear(hidden, self.embedding)
        logits: Tensor = self.head(hidden)
        return logits

    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        """Returns empty keys and values, `[b heads max_length head_dim]` per layer."""
        size = self.cache_shape
        names = [f"{kind}.{layer}" for layer in range(size.layers) for kind in "kv"]
        shape = (batch, size.heads, max_length, size.head_dim)
        tensors = {name: torch.zeros(shape, device=device, dtype=dtype) for name in names}
        return DecodeState(tensors, torch.zeros(batch, device=device, dtype=torch.int32))

    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Advances every row by one token: `[b d]` -> normed hidden states `[b d]`."""
        return self._run_cached(embeddings[:, None], Step(state))[:, 0]

    def kernels(self) -> Sequence[KernelReport]:
        """Returns how attention is computed."""
        if self.attention == "sdpa":
            reason = "PyTorch's scaled_dot_product_attention, which picks its kernel by device and dtype"
            return [KernelReport("attention", "sdpa", reason)]
        return [KernelReport("attention", "eager", "the config asks for plain matrix products", "attention: sdpa")]

    def _run(self, embeddings: Tensor, **extra: Tensor) -> Tensor:
        hidden: Tensor = self.decoder(inputs_embeds=embeddings, use_cache=False, **extra).last_hidden_state
        return hidden

    def _run_cached(self, embeddings: Tensor, slots: Slots) -> Tensor:
        from cobra_kit_transformer.cache import StateCache  # here, for the tokenizer's sake: it needs no transformers

        hidden: Tensor = self.decoder(
            inputs_embeds=embeddings,
            attention_mask=self._mask(slots, embeddings.dtype),
            position_ids=slots.positions,
            use_cache=True,
            **{cache_argument(type(self.decoder).forward): StateCache(slots)},
        ).last_hidden_state
        slots.advance()
        return hidden

    def _mask(self, slots: Slots, dtype: torch.dtype) -> Tensor | None:
        """Returns the mask in the form that attention takes: fused attention knows booleans, plain products add."""
        seen = slots.mask()
        if seen is None or self.attention == "sdpa":
            return seen
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)


def segment_mask(layout: LayoutBatch, dtype: torch.dtype) -> Tensor:
    """Returns the additive mask `[b 1 s s]` of packed rows: a token sees its own segment up to itself."""
    ids = layout.segment_ids
    slots = torch.arange(ids.shape[1], device=ids.device)
    hidden = (ids[:, :, None] != ids[:, None, :]) | (slots[None, :] > slots[:, None])
    mask = torch.zeros(hidden.shape, dtype=dtype, device=ids.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None]
