"""The state of random numbers as tensors that a checkpoint can hold: torch's, and those that a plugin may use."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

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
    """Returns the state `[n]` of each generator that layers on `device` draw from, and of Python's and NumPy's."""
    whole = np.random.get_state(legacy=False)
    generator, spare = whole["state"], random.getstate()[2]
    state = {
        "cpu": torch.get_rng_state(),
        "python": torch.from_numpy(np.array(random.getstate()[1], dtype=np.int64)),
        "numpy": torch.from_numpy(np.append(generator["key"].astype(np.int64), generator["pos"])),
        # Both draw normal numbers in pairs and keep the second: NaN where there is none.
        "spares": torch.tensor(
            [math.nan if spare is None else spare, whole["gauss"] if whole["has_gauss"] else math.nan],
            dtype=torch.float64,
        ),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def load_random_state(state: Mapping[str, Tensor]) -> None:
    """Puts back what `random_state` returned, `[n]` each; the device is the current one."""
    torch.set_rng_state(state["cpu"])
    spares = state.get("spares", torch.full((2,), math.nan, dtype=torch.float64))
    if "python" in state:  # checkpoints of 0.1 hold torch's alone
        spare = float(spares[0])
        random.setstate((_VERSION, tuple(state["python"].tolist()), None if math.isnan(spare) else spare))
    if "numpy" in state:
        *keys, position = state["numpy"].tolist()
        spare = float(spares[1])
        has_gauss = not math.isnan(spare)
        np.random.set_state(
            {
                "bit_generator": "MT19937",
                "state": {"key": np.array(keys, dtype=np.uint32), "pos": position},
                "has_gauss": int(has_gauss),
                "gauss": spare if has_gauss else 0.0,
            }
        )
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
