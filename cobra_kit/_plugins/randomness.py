"""Random numbers around a plugin's code: the same at every call, and nobody else's are changed."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def own_randomness(seed: int = 0) -> Iterator[None]:
    """Seeds `random`, NumPy and torch (on the CPU) for a block, and puts them back as they were.

    What a plugin draws from them without asking is then the same at every call and on every machine, and what it seeds
    changes no other plugin. Libraries that nobody has imported are left alone.

    Args:
        seed: The seed that each of the generators starts from.
    """
    numpy, torch = _loaded("numpy", "random"), _loaded("torch", "get_rng_state")
    before = (
        random.getstate(),
        None if numpy is None else numpy.random.get_state(),
        None if torch is None else torch.get_rng_state(),
    )
    random.seed(seed)
    if numpy is not None:
        numpy.random.seed(seed % 2**32)
    if torch is not None:
        torch.default_generator.manual_seed(seed)  # not `manual_seed`, which would wake and seed every GPU
    try:
        yield
    finally:
        random.setstate(before[0])
        if numpy is not None:
            numpy.random.set_state(before[1])
        if torch is not None:
            torch.set_rng_state(before[2])


def _loaded(name: str, attribute: str) -> Any:
    """Returns a library, if it is imported already and whole."""
    module = sys.modules.get(name)
    return module if hasattr(module, attribute) else None
