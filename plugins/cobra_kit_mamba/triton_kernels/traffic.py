"""Bytes that the kernels move, from shapes: what a bandwidth floor is made of.

`least` counts every input once and every output once: no kernel can do with less. `moved` is what these kernels read
and write, their own states per chunk and partial sums included, if every reading of a tile goes to memory once per
pass. Divided by the bandwidth of the card both are times.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.triton_kernels.plan import backward_plan, forward_plan, gradient_plan

_FLOAT = 4


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one call.

    Args:
        least: Bytes of every input and output, once.
        moved: Bytes that these kernels move.
    """

    least: int
    moved: int


def scan_forward_traffic(x: ScanInputs, *, carried: bool = False) -> Traffic:
    """Returns the traffic of `scan_calls.scan_forward`; `carried`: with an initial state."""
    (rows, length, channels), d_state = x.u.shape, x.A.shape[1]
    plan = forward_plan(rows, length, channels, d_state, x.u.device)
    state = rows * channels * d_state * _FLOAT
    ends = (2 if carried else 1) * state
    read = _bytes(x.u, x.dt, x.B, x.C, x.z, x.A, x.D, x.dt_bias)
    least = read + _bytes(x.u) + ends
    if plan.chunks == 1:
        return Traffic(least, least)
    # The first pass reads u, dt, B; the states of the chunks are written and read twice, their time steps once.
    again = _bytes(x.u, x.dt, x.B, x.A)
    return Traffic(least, least + again + plan.chunks * (4 * state + 2 * rows * channels * _FLOAT))


def scan_backward_traffic(x: ScanInputs, *, carried: bool = False) -> Traffic:
    """Returns the traffic of `scan_calls.scan_backward`."""
    (rows, length, channels), d_state = x.u.shape, x.A.shape[1]
    plan = backward_plan(length, channels, d_state)
    final = gradient_plan(rows, channels, plan.chunks, x.u.device)
    state = rows * channels * d_state * _FLOAT
    ends = (2 if carried else 1) * state
    inputs = _bytes(x.u, x.dt, x.B, x.C, x.z, x.A, x.D, x.dt_bias)
    least = 2 * inputs + _bytes(x.u) + ends  # inputs and their gradients, and the gradient of y
    first = _bytes(x.u, x.dt, x.B, x.C, x.z, x.A) + _bytes(x.u)
    states = 2 * plan.chunks * 4 * state + 3 * plan.chunks * rows * channels * _FLOAT
    of_A = 2 * final.parts * state * (2 * final.chunks_each - 1)
    of_B = 2 * 2 * final.blocks * rows * length * d_state * _FLOAT
    return Traffic(least, least + first + states + of_A + of_B)


def scan_step_traffic(rows: int, channels: int, d_state: int, dtype: torch.dtype) -> Traffic:
    """Returns the traffic of `calls.scan_step` with D, gate and bias; A and the state are float32, dt too."""
    state, wide = rows * channels * d_state * _FLOAT, rows * channels * dtype.itemsize
    parameters = channels * (d_state + 2) * _FLOAT
    least = 2 * state + 3 * wide + rows * channels * _FLOAT + 2 * rows * d_state * dtype.itemsize + parameters
    return Traffic(least, least)


def conv_step_traffic(rows: int, channels: int, taps: int, dtype: torch.dtype) -> Traffic:
    """Returns the traffic of `calls.conv_step`, everything in one dtype; the oldest input is not read."""
    numbers = rows * channels * ((taps - 1) + taps + 2) + channels * (taps + 1)
    return Traffic(numbers * dtype.itemsize, numbers * dtype.itemsize)


def conv_traffic(rows: int, length: int, channels: int, taps: int, dtype: torch.dtype) -> tuple[Traffic, Traffic]:
    """Returns the traffic of `calls.conv_forward` and `calls.conv_backward`; tiles' further readings are cached."""
    wide, weights = rows * length * channels * dtype.itemsize, channels * (taps + 1) * dtype.itemsize
    forward, backward = 2 * wide + weights, 3 * wide + 2 * weights
    return Traffic(forward, forward), Traffic(backward, backward)


def _bytes(*tensors: torch.Tensor | None) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)
