"""Building modules on the meta device, quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_RANDOM = {Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_, Tensor.log_normal_}


@contextmanager
def shapes_only() -> Iterator[None]:
    """Builds modules on the meta device inside `with`, and skips what would draw values for them."""
    with torch.device("meta"), _SkipInitialisation():
        yield


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
