"""Scalar functions that the kernels share, in float32.

Layout: a thread holds whole channels, with all their states, or all their tokens, in its registers. Then no sum over
states and no recurrence over tokens leaves the thread. Triton makes it so where it must not assume that neighbouring
channels are neighbours in memory; hence every stride between channels is a number it does not specialise on.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOWEST = tl.constexpr(-3.4028234663852886e38)


@triton.jit
def sigmoid(x):
    """Returns 1 / (1 + exp(-x)) without overflow: exp gives infinity at most, and 1 / infinity is 0."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def silu(x):
    """Returns x sigmoid(x); NaN at minus infinity, as torch has it."""
    return x * sigmoid(x)


@triton.jit
def silu_slope(x):
    """Returns the derivative of silu."""
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


@triton.jit
def softplus(x):
    """Returns log(1 + exp(x)), and x above 20 as torch does.

    log(1 + e) alone loses a small e. Kahan's correction e / ((1 + e) - 1) is exactly what rounding 1 + e took away.
    """
    e = tl.exp(tl.minimum(x, 20.0, propagate_nan=tl.PropagateNan.ALL))
    w = 1.0 + e
    exact = tl.where(w == 1.0, e, tl.log(w) * (e / tl.where(w == 1.0, 1.0, w - 1.0)))
    return tl.where(x > 20.0, x, exact)


@triton.jit
def finite_rate(rate):
    """Returns A with the lowest float in place of minus infinity, which a time step of 0 would turn into NaN."""
    return tl.maximum(rate, LOWEST, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def row(tile, i, j: tl.constexpr):
    """Returns row j of a tile `[t d]`; i numbers its rows. Where a thread holds whole columns this is a register."""
    return tl.sum(tl.where(i[:, None] == j, tile, 0.0), 0)


@triton.jit
def place(blocks, parts):
    """Returns which row, part of it and block of channels this program is for.

    Neighbours are blocks of the same part, which read the same B and C. Counted in one dimension, because the others of
    a grid end at 65535.
    """
    pid = tl.program_id(0)
    return (pid // blocks // parts).to(tl.int64), (pid // blocks % parts).to(tl.int64), pid % blocks
