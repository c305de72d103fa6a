"""The memory of a backbone between two steps of a generation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(slots=True)
class DecodeState:
    """The memory of a backbone between steps. Owned by the core, updated in place by the backbone.

    The tensors keep their addresses for the whole generation, so a CUDA graph may hold them.

    Args:
        tensors: Named and batch-first: `conv.0`, `ssm.0` (constant size) or `k.0`, `v.0` (growing use).
        lengths: `[b]` int32 on the device: tokens seen per row.
        used: A number on the host that no row's length exceeds, so that a backbone whose work grows with what was seen
            need neither look at the device nor read all of `max_length`. The core sets it before every call; None:
            nobody does, and the backbone must not rely on it.
    """

    tensors: dict[str, Tensor]
    lengths: Tensor
    used: int | None = None

    @property
    def nbytes(self) -> int:
        """Returns the size of the state in bytes."""
        return sum(t.numel() * t.element_size() for t in (*self.tensors.values(), self.lengths))

    def reset(self, rows: Tensor | None = None) -> None:
        """Empties the state of `rows` (a `[r]` index tensor), or of every row, in place."""
        if rows is None and self.used is not None:
            self.used = 0
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
            used=self.used,
        )
