"""Building modules on the meta device, quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.overrides import TorchFunctionMode

from cobra_kit.errors import ShapeError

MAX_MODULES = 100_000
"""Of one part. Mamba 2.8B has some 500, the deepest published models some 10,000."""
_RANDOM = {Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_, Tensor.log_normal_}


@contextmanager
def shapes_only() -> Iterator[None]:
    """Builds modules on the meta device inside `with`, and skips what would draw values for them.

    Raises:
        ShapeError: More modules are built than any model has: a depth without bounds would build them for hours.
    """
    built = 0

    def count(parent: nn.Module, name: str, module: nn.Module | None) -> None:
        nonlocal built
        built += 1
        if built > MAX_MODULES:
            raise ShapeError(
                f"building it makes more than {MAX_MODULES:,} modules",
                where=f"{type(parent).__module__}.{type(parent).__qualname__}",
                hint="Choose a smaller depth.",
            )

    hook = register_module_module_registration_hook(count)
    try:
        with torch.device("meta"), _SkipInitialisation():
            yield
    finally:
        hook.remove()


class _SkipInitialisation(TorchFunctionMode):
    """Leaves meta tensors untouched where `torch.nn.init`, or a random method, would fill them.

    A meta tensor has no values, so nothing is lost. But torch's `normal_` on one is a Python reference that imports
    `torch._dynamo`, which takes longer than all of `recipes validate`.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM or _is_initialiser(func):
            tensor = args[0] if args else kwargs.get("tensor")
            if isinstance(tensor, Tensor) and tensor.is_meta:
                return tensor
        return func(*args, **kwargs)


def _is_initialiser(func: Callable[..., Any]) -> bool:
    return getattr(func, "__module__", None) == "torch.nn.init" and func.__name__.endswith("_")
