"""Stands in for CUDA graphs on a CPU: records the operations of a step and repeats them on the same memory.

As with a CUDA graph, nothing of the step's Python runs again, every operation reads and writes the addresses it had,
and what would wait for the device is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
_WAITS = {
    aten._local_scalar_dense.default,
    aten.is_nonzero.default,
    aten.equal.default,
    aten.nonzero.default,
    aten.masked_select.default,
}


class Recorder:
    """A `GraphBackend`; counts what it does."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def unavailable(self, device: torch.device) -> str | None:
        return None

    def capture(self, step: Callable[[], None], device: torch.device) -> Callable[[], None]:
        self.captured += 1
        for _ in range(2):
            step()
        with Tape() as tape:
            step()

        def replay() -> None:
            self.replayed += 1
            tape.replay()

        return replay


class Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in _WAITS, f"{func} waits for the device"
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for func, args, kwargs, out in self.operations:
            if any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns):
                continue  # a view: it is there, and shows what is in the memory now
            new = func(*args, **kwargs)
            if not func._schema.is_mutable:
                for old, fresh in zip(tree_leaves(out), tree_leaves(new), strict=True):
                    if isinstance(old, Tensor):
                        old.copy_(fresh)
