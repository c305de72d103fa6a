"""The scan on the meta device: the shapes of the real one, and FLOPs by formula."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from cobra_kit_mamba.scan_meta import BACKWARD_FLOPS, FORWARD_FLOPS, meta_scan


def test_shapes_gradients_and_flops() -> None:
    with torch.device("meta"):
        u, dt, z = (torch.empty(2, 5, 8, requires_grad=True) for _ in range(3))
        B, C = (torch.empty(2, 5, 4, requires_grad=True) for _ in range(2))
        A, D, bias = torch.empty(8, 4, requires_grad=True), torch.empty(8), torch.empty(8)
    with FlopCounterMode(display=False) as counter:
        y, state = meta_scan(u, dt, A, B, C, D, z, bias, None)
        assert counter.get_total_flops() == FORWARD_FLOPS * 2 * 5 * 8 * 4
        y.sum().backward()
    assert (y.shape, state.shape) == ((2, 5, 8), (2, 8, 4))
    assert counter.get_total_flops() == (FORWARD_FLOPS + BACKWARD_FLOPS) * 2 * 5 * 8 * 4
    assert all(leaf.grad is not None and leaf.grad.shape == leaf.shape for leaf in (u, dt, z, A, B, C))
