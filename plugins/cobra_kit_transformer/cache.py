"""Keys and values of earlier tokens, kept in the core's `DecodeState` and handed to transformers as its cache.

transformers' own caches keep one length for the whole batch; here every row has its own, so that rows of different
lengths can be prefilled together, padded on the right, and stepped together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import DecodeState


class StateCache:
    """One pass over `s` new tokens per row, of which the first `new_lengths` are real.

    It is what transformers' attention asks of a cache: `update`. The state's tensors are written in place and keep
    their addresses; no gradient flows through them.

    Args:
        state: `k.N`, `v.N` of `[b heads max_length head_dim]`, and `lengths` `[b]`.
        count: New tokens per row, padding included, `s`.
        new_lengths: Real new tokens per row, `[b]`; None where every row has one token, the form without a sync.

    Attributes:
        positions: Where the new tokens stand in their rows, `[b s]`.

    Raises:
        ShapeError: A row would outgrow the state. A step on a GPU cannot look without a sync; there the core's own
            bound is the only one.
    """

    def __init__(self, state: DecodeState, count: int, new_lengths: Tensor | None = None) -> None:
        self._state = state
        self._new_lengths = new_lengths
        self._max_length = state.tensors["k.0"].shape[2]
        device = state.lengths.device
        lengths = state.lengths.long()
        if new_lengths is not None or device.type == "cpu":
            self._check_room(lengths, 1 if new_lengths is None else new_lengths)
        self.positions = lengths[:, None] + torch.arange(count, device=device)
        self._slots = torch.arange(self._max_length, device=device)
        if new_lengths is not None:
            self._source = self._slots - lengths[:, None]  # [b max_length]: which new token a slot takes
            self._written = (self._source >= 0) & (self._source < new_lengths[:, None])
            self._source = self._source.clamp(0, count - 1)

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Returns the additive mask `[b 1 s max_length]`: a token sees its own row up to itself."""
        hidden = self._slots > self.positions[:, :, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Stores the new keys and values `[b heads s head_dim]` of a layer and returns all of its slots."""
        return self._store(f"k.{layer}", keys), self._store(f"v.{layer}", values)

    def advance(self) -> None:
        """Counts the new tokens, once every layer has stored them."""
        self._state.lengths.add_(1 if self._new_lengths is None else self._new_lengths)

    def _store(self, name: str, new: Tensor) -> Tensor:
        kept = self._state.tensors[name]
        heads, head_dim = kept.shape[1], kept.shape[3]
        values = new.detach().to(kept.dtype)
        if self._new_lengths is None:
            kept.scatter_(2, self.positions[:, None, :, None].expand(-1, heads, -1, head_dim), values)
        else:
            source = self._source[:, None, :, None].expand(-1, heads, -1, head_dim)
            kept.copy_(torch.where(self._written[:, None, :, None], values.gather(2, source), kept))
        return kept.to(new.dtype)

    def _check_room(self, lengths: Tensor, new: Tensor | int) -> None:
        longest = int((lengths + new).max())
        if longest > self._max_length:
            raise ShapeError(
                f"a row of {longest} tokens does not fit a decode state of {self._max_length}",
                hint="Make the state with new_state(max_length = prompt + visual + new tokens).",
            )
