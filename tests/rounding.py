"""Two routes to one value: equal up to rounding, and no further.

Matrix products, convolutions and resampling sum in an order that the library picks by processor, shape and alignment,
so their last bits differ from machine to machine. Equal bits may be asked for only where values were copied, or where
the very same operation ran on the very same memory.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_same(got: Tensor, expected: Tensor, share: float = 1e-4) -> None:
    """Checks that no element differs by more than `share` of the expected values' spread.

    float32 rounding over a few layers gives 1e-6; a wrong position, activation or mask gives 0.01 and more.
    """
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    spread = float(expected.detach().double().std())
    assert spread > 0, "values that are all alike prove nothing"
    torch.testing.assert_close(got, expected, atol=share * spread, rtol=0)
