"""How the Triton kernels cut their work, and what they say they move."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("triton")

from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.triton_kernels.plan import backward_plan, forward_plan, gradient_plan
from cobra_kit_mamba.triton_kernels.traffic import (
    conv_step_traffic,
    conv_traffic,
    scan_backward_traffic,
    scan_forward_traffic,
    scan_step_traffic,
)

CPU = torch.device("cpu")  # has the number of multiprocessors of an H100


@given(b=st.integers(1, 4000), s=st.integers(1, 1_100_000), d=st.integers(1, 20_000), n=st.integers(1, 256))
def test_every_token_and_channel_is_in_one_program(b: int, s: int, d: int, n: int) -> None:
    forward, backward = forward_plan(b, s, d, n, CPU), backward_plan(s, d, n)
    for plan in (forward, backward):
        assert (plan.chunks - 1) * plan.chunk < s <= plan.chunks * plan.chunk
        assert (plan.blocks - 1) * plan.block_d < d <= plan.blocks * plan.block_d
        assert plan.chunk % plan.group == 0
        assert n <= plan.block_n < 2 * n
        assert plan.block_n * plan.block_d / (32 * plan.warps) <= 64  # states of a thread
    final = gradient_plan(b, d, backward.chunks, CPU)
    assert (final.parts - 1) * final.chunks_each < backward.chunks <= final.parts * final.chunks_each
    assert (final.blocks - 1) * final.block_d < d <= final.blocks * final.block_d


def test_one_row_of_cobra_fills_a_gpu() -> None:
    forward, backward = forward_plan(1, 800, 5120, 16, CPU), backward_plan(800, 5120, 16)
    final = gradient_plan(1, 5120, backward.chunks, CPU)
    assert forward.chunks * forward.blocks * forward.warps >= 132 * 8
    assert backward.chunks * backward.blocks * backward.warps >= 132 * 8
    assert final.parts * final.blocks >= 132 * 4


def test_a_batch_needs_no_chunks() -> None:
    assert forward_plan(32, 800, 5120, 16, CPU).chunks == 1


def test_a_million_tokens_are_cut_into_long_chunks() -> None:
    plan = forward_plan(1, 1_000_000, 5120, 16, CPU)
    assert plan.chunks <= 32
    assert plan.chunk * plan.chunks >= 1_000_000


def inputs(rows: int, length: int, channels: int, d_state: int) -> ScanInputs:
    with torch.device("meta"):
        wide, narrow = torch.empty(rows, length, channels).bfloat16(), torch.empty(rows, length, d_state).bfloat16()
        A, D = torch.empty(channels, d_state), torch.empty(channels)
        return ScanInputs(wide, wide.float(), A, narrow, narrow, D, wide, D)


def test_traffic_by_hand() -> None:
    x = inputs(32, 800, 5120, 16)
    wide, narrow, state = 32 * 800 * 5120, 32 * 800 * 16, 32 * 5120 * 16
    read = wide * (2 + 4 + 2) + 2 * 2 * narrow + 4 * (5120 * 16 + 2 * 5120)
    forward = scan_forward_traffic(x)
    assert forward.least == forward.moved == read + 2 * wide + 4 * state
    traffic = scan_forward_traffic(inputs(1, 800, 5120, 16))
    assert 1.5 * traffic.least < traffic.moved < 4 * traffic.least  # it pays for filling the GPU
    backward = scan_backward_traffic(x)
    assert backward.least == 2 * read + 2 * wide + 4 * state
    assert backward.moved > backward.least
    assert scan_step_traffic(1, 5120, 16, torch.bfloat16).least == 4 * 5120 * (3 * 16 + 3) + 2 * (3 * 5120 + 2 * 16)
    assert conv_step_traffic(1, 10, 4, torch.float32).least == 4 * (10 * 9 + 10 * 5)
    assert conv_traffic(1, 7, 10, 4, torch.float32)[0].least == 4 * (2 * 70 + 50)
