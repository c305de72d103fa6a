"""Counts what a piece of code computes, and what it keeps for the backward pass, from the shapes alone.

Matrix products, convolutions, attention, and every operator that registered a formula with torch's flop counter
(`torch.utils.flop_counter.register_flop_formula`: what an author of a kernel does) count by that formula; whatever
works element by element counts one FLOP per element it writes, and a reduction one per element it reads. So a part
nobody here has seen is counted too, in the pass it really makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cobra_kit.model.reads import storage_of, storages_read

_REDUCTIONS = {
    getattr(torch.ops.aten, name)
    for name in ("sum", "mean", "amax", "amin", "var_mean", "var", "cumsum", "_softmax", "_log_softmax", "nll_loss")
    if hasattr(torch.ops.aten, name)
} | {torch.ops.aten.native_layer_norm, torch.ops.aten.linalg_vector_norm, torch.ops.aten.logsumexp}


class OperationCounter:
    """Counts FLOPs within `with counter:`.

    By the formulas of torch's counter, and not by the counter itself: that one hooks every module to know where it is,
    and hooked modules are called where a backbone otherwise takes a faster way.
    """

    def __init__(self) -> None:
        self._mode = _Operations()

    def __enter__(self) -> OperationCounter:
        self._mode.__enter__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return self

    def __exit__(self, *error: Any) -> None:
        self._mode.__exit__(*error)  # type: ignore[no-untyped-call]

    @property
    def elementwise(self) -> int:
        """Returns the FLOPs of element by element operations and reductions."""
        return self._mode.elementwise

    @property
    def total(self) -> int:
        """Returns all FLOPs."""
        return self._mode.formulas + self._mode.elementwise


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.formulas, self.elementwise = 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in flop_registry:
            self.formulas += int(flop_registry[packet](*args, **(kwargs or {}), out_val=out))
        elif packet in _REDUCTIONS and isinstance(args[0], Tensor):
            self.elementwise += args[0].numel()
        elif torch.Tag.pointwise in func.tags and isinstance(out, Tensor):
            self.elementwise += out.numel()
        return out


class SavedTensors:
    """Bytes that autograd keeps for the backward pass within `with saved:`; weights are not counted.

    Args:
        model: Its parameters and buffers are there anyway.
        blocks: Its repeated units, to tell what activation checkpointing would keep instead.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self._own = {storage_of(t) for t in (*model.parameters(), *model.buffers())}
        self._kept: dict[int, Tensor] = {}  # the tensors themselves, so that no address is used twice
        self._bytes, self._before = 0, 0
        self._in_blocks: list[int] = []
        self._inputs = 0
        self._handles = [handle for block in blocks for handle in self._watch(block)]
        self._hooks = saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def __enter__(self) -> SavedTensors:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)
        for handle in self._handles:
            handle.remove()

    @property
    def bytes(self) -> int:
        """Returns what is kept without activation checkpointing."""
        return self._bytes

    @property
    def bytes_checkpointed(self) -> int:
        """Returns what is kept where every block keeps its inputs only, with the largest block computed again."""
        within = sum(self._in_blocks)
        return self._bytes - within + self._inputs + max(self._in_blocks, default=0)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = storage_of(tensor)
        if storage not in self._own and storage not in self._kept:
            self._kept[storage] = tensor.detach()
            self._bytes += tensor.untyped_storage().nbytes()
        return tensor

    def _watch(self, block: nn.Module) -> list[Any]:
        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._before = self._bytes
            self._inputs += sum(t.untyped_storage().nbytes() for t in inputs if isinstance(t, Tensor))

        def after(*_: Any) -> None:
            self._in_blocks.append(self._bytes - self._before)

        return [block.register_forward_pre_hook(before), block.register_forward_hook(after)]


def never_run(module: nn.Module, run: Callable[[], object]) -> list[str]:
    """Returns the names of the parameters that no operation of `run`, which uses the module, is given."""
    read = storages_read(run)
    return [name for name, parameter in module.named_parameters() if storage_of(parameter) not in read]
