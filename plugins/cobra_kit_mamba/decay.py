"""The decay rates A of the state space, finite whatever the parameters are.

A model keeps the logarithm of -A; above 88.7 its exponential is over float32's range. Minus infinity times a time step
of 0, which padding has, would be NaN, and so would be its gradient: the lowest number of the dtype stands for it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def decay_rates(A_log: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns A, `[d n]` in `dtype`, from the logarithm of -A."""
    highest = math.log(torch.finfo(dtype).max) * (1 - 1e-6)  # a little lower: the exponential rounds too
    return -torch.exp(A_log.to(dtype).clamp(max=highest))


def finite_rates(A: Tensor) -> Tensor:
    """Returns A, `[d n]` or `[h]`, with the lowest number of its dtype in place of anything lower."""
    return A.clamp(min=torch.finfo(A.dtype).min)
