"""The eval mode that answers are given in, and the way back from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts a model into eval mode for a block; behind it every module is again in the mode it was in before.

    Modules may differ: a frozen encoder stays in eval mode while the rest trains.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
