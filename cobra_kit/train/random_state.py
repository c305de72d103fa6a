"""The state of random numbers as tensors that a checkpoint can hold: torch's, and those that a plugin may use."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_VERSION = 3
"""Of the state of Python's generator, as `random.getstate` says it."""


def seed_everything(seed: int) -> None:
    """Seeds torch, and what parts of plugins may draw from beside it: `random` and NumPy's global generator."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Returns the state of the generators that layers on `device` draw from, and of Python's and NumPy's."""
    drawn: Any = np.random.get_state(legacy=True)  # a tuple or a mapping, say its types; here a tuple
    _, keys, position, *_ = drawn
    state = {
        "cpu": torch.get_rng_state(),
        "python": torch.from_numpy(np.array(random.getstate()[1], dtype=np.int64)),
        "numpy": torch.from_numpy(np.append(np.asarray(keys, dtype=np.int64), position)),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def load_random_state(state: Mapping[str, Tensor]) -> None:
    """Puts back what `random_state` returned; the device is the current one."""
    torch.set_rng_state(state["cpu"])
    if "python" in state:  # checkpoints of 0.1 hold torch's alone
        random.setstate((_VERSION, tuple(state["python"].tolist()), None))
    if "numpy" in state:
        *keys, position = state["numpy"].tolist()
        np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, 0, 0.0))
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
