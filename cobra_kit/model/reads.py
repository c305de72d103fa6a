"""The tensors that a piece of code reads, found by watching its operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, no_grad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def storages_read(work: Callable[[], object]) -> set[int]:
    """Returns the storages, as `storage_of` names them, of the tensors that operations within `work` were given.

    Without gradients. Of tensors that live through the work only: an address is used again once a tensor is gone.
    """
    seen = _Inputs()
    with no_grad(), seen:
        work()
    return seen.storages


def storage_of(tensor: Tensor) -> int:
    """Returns what tells the storage of a tensor, of any shape, from others; one on the meta device has no address."""
    return int(tensor.untyped_storage()._cdata)


class _Inputs(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.storages |= {
            storage_of(leaf) for leaf in tree_leaves((args, dict(kwargs or {}))) if isinstance(leaf, Tensor)
        }
        return func(*args, **(kwargs or {}))
