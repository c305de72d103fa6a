"""The slots of a decode state that a pass over new tokens writes, and those that attention reads.

Every row has a length of its own, so that rows of different lengths can be prefilled together, padded on the right,
and stepped together. Attention reads the slots up to the longest row and no further, so a step costs in proportion to
what was seen, not to what the state has room for. `cache.py` hands them to transformers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import DecodeState


class Slots(ABC):
    """The places where the `s` new tokens per row of one pass go.

    The state's tensors are written in place and keep their addresses, so that a recorded graph finds them again; no
    gradient flows through them.

    Args:
        state: `k.N`, `v.N` of `[b heads max_length head_dim]`, and `lengths` `[b]`.
        positions: Where the new tokens stand in their rows, `[b s]`.
        seen: Slots that attention reads, the new tokens' included.
    """

    def __init__(self, state: DecodeState, positions: Tensor, seen: int) -> None:
        self.state = state
        self.positions = positions
        self.seen = seen

    def mask(self) -> Tensor | None:
        """Returns which slots a token sees, bool `[b 1 s seen]`; None where plain causal attention sees the same."""
        return torch.arange(self.seen, device=self.positions.device) <= self.positions[:, None, :, None]

    @abstractmethod
    def store(self, kept: Tensor, new: Tensor) -> Tensor:
        """Stores new keys or values `[b heads s head_dim]` in the state's and returns all that attention reads."""

    @abstractmethod
    def advance(self) -> None:
        """Counts the new tokens, once every layer has stored them."""


class FirstPass(Slots):
    """Prompts into an empty state: plain causal attention among the new tokens, no mask.

    Args:
        state: A state that holds nothing yet.
        count: New tokens per row, padding included, `s`.
        lengths: Real new tokens per row, on the host.
    """

    def __init__(self, state: DecodeState, count: int, lengths: Sequence[int]) -> None:
        _check_room(state, max(lengths, default=0))
        slots = torch.arange(count, device=state.lengths.device)
        super().__init__(state, slots.expand(len(lengths), -1), count)
        self._lengths = torch.tensor(lengths, dtype=state.lengths.dtype).to(slots.device, non_blocking=True)
        self._padding = None
        if any(length < count for length in lengths):
            self._padding = (slots >= self._lengths[:, None])[:, None, :, None]

    def mask(self) -> Tensor | None:
        """Returns None instead of `[b 1 s seen]`: right padding comes after every real token."""
        return None

    def store(self, kept: Tensor, new: Tensor) -> Tensor:
        """Stores the new ones `[b heads s head_dim]`; attention reads them as they came, with their gradients."""
        room = min(new.shape[2], kept.shape[2])  # padding may reach beyond the end
        real = new.detach() if self._padding is None else new.detach().masked_fill(self._padding, 0.0)
        kept[:, :, :room].copy_(real[:, :, :room])
        return new

    def advance(self) -> None:
        """Counts the new tokens."""
        self.state.lengths.copy_(self._lengths)


class NextPass(Slots):
    """More tokens for rows that have some, `new_lengths` real ones per row.

    Args:
        state: A state of rows of any lengths.
        count: New tokens per row, padding included, `s`.
        new_lengths: Real new tokens per row, `[b]`.
    """

    def __init__(self, state: DecodeState, count: int, new_lengths: Tensor) -> None:
        lengths = state.lengths.long()
        self._max_length = state.tensors["k.0"].shape[2]
        _check_room(state, int((lengths + new_lengths).max()) if len(lengths) else 0)
        super().__init__(state, lengths[:, None] + torch.arange(count, device=lengths.device), self._max_length)
        self._new_lengths = new_lengths
        source = torch.arange(self._max_length, device=lengths.device) - lengths[:, None]
        self._written = ((source >= 0) & (source < new_lengths[:, None]))[:, None, :, None]
        self._source = source.clamp(0, count - 1)[:, None, :, None]  # [b 1 max_length 1]: which new token a slot takes

    def advance(self) -> None:
        """Counts the new tokens."""
        self.state.lengths.add_(self._new_lengths)

    def store(self, kept: Tensor, new: Tensor) -> Tensor:
        """Stores the new ones `[b heads s head_dim]` and returns all slots."""
        # Gathered, not scattered: a padding token's slot may lie beyond the end, and must not be written anyway.
        source = self._source.expand(-1, kept.shape[1], -1, kept.shape[3])
        kept.copy_(torch.where(self._written, new.detach().to(kept.dtype).gather(2, source), kept))
        return kept.to(new.dtype)


class Step(Slots):
    """One token for every row, without a sync on a GPU.

    Args:
        state: A state of rows of any lengths. Where nobody keeps `used`, a GPU reads all slots.

    Raises:
        ShapeError: A row would outgrow the state. On a GPU only `used` says so.
    """

    def __init__(self, state: DecodeState) -> None:
        self._max_length = state.tensors["k.0"].shape[2]
        lengths = state.lengths
        self._slot: int | None = None  # the one that all rows write, where that is known
        if looks_are_free(lengths.device) and len(lengths):
            longest = int(lengths.max())
            _check_room(state, longest + 1)
            seen = longest + 1
            if int(lengths.min()) == longest:
                self._slot = longest
        else:
            seen = self._max_length if state.used is None else min(state.used + 1, self._max_length)
        super().__init__(state, lengths.long()[:, None], seen)
        self._index = self.positions[:, None, :, None]

    def mask(self) -> Tensor | None:
        """Returns `[b 1 1 seen]`; None where every row sees every slot that is read."""
        return None if self._slot is not None else super().mask()

    def advance(self) -> None:
        """Counts the new token."""
        self.state.lengths.add_(1)

    def store(self, kept: Tensor, new: Tensor) -> Tensor:
        """Stores the new ones `[b heads 1 head_dim]` and returns the slots in use."""
        values = new.detach().to(kept.dtype)
        if self._slot is not None:
            kept[:, :, self._slot : self._slot + 1].copy_(values)
        else:
            kept.scatter_(2, self._index.expand(-1, kept.shape[1], -1, kept.shape[3]), values)
        return kept[:, :, : self.seen].to(new.dtype)


def looks_are_free(device: torch.device) -> bool:
    """Returns whether reading a value on the host waits for nothing."""
    return device.type == "cpu"


def _check_room(state: DecodeState, longest: int) -> None:
    room = state.tensors["k.0"].shape[2]
    if longest > room:
        raise ShapeError(
            f"a row of {longest} tokens does not fit a decode state of {room}",
            hint="Make the state with new_state(max_length = prompt + visual + new tokens).",
        )
