"""Block sizes from shapes. Nothing is tried out at run time: an autotuner costs tens of seconds on the first call.

The case that must fill a GPU is one row of Cobra-3B: d 5120, n 16, 800 tokens, on 132 multiprocessors (H100, H200).
A program is one warp that holds 64 channels with 16 states each, 32 numbers per thread. Compiled for an H100 it takes
186 to 255 registers per thread, so the 65,536 of a multiprocessor hold 8 to 11 warps. Blocks: 5120 / 64 = 80.
Wanted: 132 * 12 = 1584 programs, so ceil(1584 / 80) = 20 chunks of 40 tokens. With 20 such rows there is one chunk and
one pass; with more chunks every exponential is taken twice, and a state per chunk is written and read twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cobra_kit_mamba.triton_kernels.device import interpreted, multiprocessors

_WARPS_WANTED = 12
"""Per multiprocessor: what registers allow."""

_SHORTEST = 16
"""Tokens of the shortest chunk: a state as wide as the chunk is long is as much memory as its inputs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The pieces into which a pass is cut.

    Args:
        block_d: Channels of a program.
        block_n: States of a program, a power of two.
        warps: Warps of a program.
        blocks: Blocks of channels.
        chunk: Tokens of a chunk.
        chunks: Chunks of a row.
        group: Tokens whose loads a program has under way at once.
    """

    block_d: int
    block_n: int
    warps: int
    blocks: int
    chunk: int
    chunks: int
    group: int


def forward_plan(rows: int, length: int, channels: int, d_state: int, device: torch.device) -> Plan:
    """Returns the plan of the forward passes: as few chunks as keep the device busy."""
    block_d, block_n, warps = _block(d_state, 1024)
    blocks = -(-channels // block_d)
    wanted = -(-multiprocessors(device) * _WARPS_WANTED // max(1, rows * blocks * warps))
    group = 2 if interpreted() else 4
    chunk = max(_SHORTEST, -(-length // wanted))
    chunk = -(-chunk // group) * group
    return Plan(block_d, block_n, warps, blocks, chunk, -(-length // chunk), group)


def backward_plan(length: int, channels: int, d_state: int) -> Plan:
    """Returns the plan of the first backward pass: chunks that the third can hold in registers."""
    block_d, block_n, warps = _block(d_state, 512)
    chunk = 8 if interpreted() else 16
    return Plan(block_d, block_n, warps, -(-channels // block_d), chunk, -(-length // chunk), 2 if interpreted() else 4)


@dataclass(frozen=True, slots=True)
class GradientPlan:
    """The pieces into which the third backward pass is cut.

    Args:
        block_d: Channels of a program, of which a thread holds one.
        warps: Warps of a program.
        blocks: Blocks of channels.
        chunks_each: Chunks that a program takes one after the other, to add up the gradient of A.
        parts: Programs along a row.
    """

    block_d: int
    warps: int
    blocks: int
    chunks_each: int
    parts: int


def gradient_plan(rows: int, channels: int, chunks: int, device: torch.device) -> GradientPlan:
    """Returns the plan: two programs of 128 threads and 255 registers are a multiprocessor's; twice that are wanted."""
    block_d = 8 if interpreted() else min(128, max(32, 1 << (channels - 1).bit_length()))
    blocks = -(-channels // block_d)
    each = max(1, min(16, rows * blocks * chunks // (4 * multiprocessors(device))))
    if interpreted():
        each = 2
    return GradientPlan(block_d, max(1, block_d // 32), blocks, each, -(-chunks // each))


def _block(d_state: int, numbers: int) -> tuple[int, int, int]:
    """Returns channels, states and warps of a program; a warp holds about `numbers` states."""
    block_n = max(1, 1 << (d_state - 1).bit_length())
    block_d = 8 if interpreted() else 64 if 64 * block_n <= numbers else 32
    return block_d, block_n, max(1, min(8, block_d * block_n // numbers))
