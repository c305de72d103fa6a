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
    before = {module: module.training for module in model.modules()}
    if not any(before.values()):
        yield
        return
    model.eval()  # and not the flags alone: a module may do more than set them
    try:
        yield
    finally:
        model.train(before[model])
        for module, training in before.items():
            module.training = training
