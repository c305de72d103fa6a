"""The chunked form of Mamba-2's state space layer against its definition."""

from __future__ import annotations

import pytest
import torch
from mamba_checks import relative_error
from torch import Tensor

from cobra_kit_mamba.ssd import CHUNK, state_space_dual, state_space_step
from cobra_kit_mamba.ssd_reference import sequential_ssd

NAMES = ("x", "dt", "A", "B", "C", "D", "dt_bias", "initial_state")


def inputs(b: int, s: int, h: int, p: int, g: int, n: int, *, decay: float = 8.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    A = -torch.linspace(0.1, decay, h)
    return [
        random(b, s, h, p),
        random(b, s, h),
        A,
        random(b, s, g, n),
        random(b, s, g, n),
        random(h),
        random(h) - 2,
        random(b, h, p, n),
    ]


@pytest.mark.parametrize("length", [1, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 22])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_values_and_gradients_equal_the_definition(length: int, groups: int) -> None:
    results = []
    for form, dtype in ((state_space_dual, torch.float32), (sequential_ssd, torch.float64)):
        leaves = [t.to(dtype).requires_grad_() for t in inputs(2, length, 6, 4, groups, 5)]
        y, state = form(*leaves)
        g = torch.Generator().manual_seed(1)
        weights = [torch.randn(out.shape, generator=g).to(dtype) for out in (y, state)]
        grads = torch.autograd.grad([y, state], leaves, weights)
        results.append({"y": y, "state": state, **dict(zip(NAMES, grads, strict=True))})
    for name, ours in results[0].items():
        assert relative_error(ours, results[1][name]) <= 2e-5, name


def test_segments_of_a_row_do_not_see_each_other() -> None:
    given = inputs(2, 150, 4, 3, 2, 5)[:-1]
    starts = torch.zeros(2, 150, dtype=torch.bool)
    starts[0, 40] = starts[0, 100] = True
    leaves = [t.requires_grad_() for t in given]
    y, state = state_space_dual(*leaves, starts=starts)
    grads = torch.autograd.grad(y[0, 40:100].sum(), leaves)
    expected, last = sequential_ssd(*given, starts=starts)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, last, rtol=1e-4, atol=1e-5)
    alone, _ = state_space_dual(*(t[:1, 40:100] if t.dim() > 2 else t for t in given))
    torch.testing.assert_close(y[:1, 40:100], alone, rtol=1e-4, atol=1e-5)
    for grad in (grads[0], grads[1], grads[3], grads[4]):  # of x, dt, B, C
        assert grad.isfinite().all()
        assert not grad[0, :40].any()
        assert not grad[0, 100:].any()


def test_a_fresh_start_is_a_state_of_zeros() -> None:
    *given, state = inputs(1, 70, 4, 3, 2, 5)
    # Equal bits: without a state it makes the same zeros and goes on as with one.
    for ours, theirs in zip(state_space_dual(*given), state_space_dual(*given, torch.zeros_like(state)), strict=True):
        assert torch.equal(ours, theirs)


def test_small_decays_after_large_ones_keep_their_precision() -> None:
    given = inputs(1, CHUNK, 2, 3, 1, 4)
    given[1][:, : CHUNK // 2] = 400.0  # sums of decays of thousands, beside which the later ones would be lost
    given[2].fill_(-1.0)
    y, _ = state_space_dual(*given)
    expected, _ = sequential_ssd(*(t.double() for t in given))
    assert relative_error(y[:, CHUNK // 2 :], expected[:, CHUNK // 2 :]) <= 1e-5


@pytest.mark.parametrize("groups", [1, 2])
def test_steps_equal_the_definition(groups: int) -> None:
    x, dt, A, B, C, D, bias, state = (t.double() for t in inputs(2, 9, 4, 3, groups, 5))
    y, last = sequential_ssd(x, dt, A, B, C, D, bias, state)
    steps = [state_space_step(state, x[:, t], dt[:, t], A, B[:, t], C[:, t], D, bias) for t in range(9)]
    torch.testing.assert_close(torch.stack(steps, dim=1), y)
    torch.testing.assert_close(state, last)


def test_minus_infinity_leaves_the_state_as_it_is() -> None:
    given = inputs(2, 80, 4, 3, 2, 5)
    given[1][:, 50:] = -torch.inf
    _, whole = state_space_dual(*given)
    _, part = state_space_dual(*(t[:, :50] if t.dim() > 2 and t.shape[1] == 80 else t for t in given))
    torch.testing.assert_close(whole, part, rtol=1e-5, atol=1e-6)


def test_half_precision_inputs_are_computed_in_float32() -> None:
    given = inputs(1, 70, 4, 3, 2, 5)
    rounded = [given[0].bfloat16(), *given[1:]]
    y, state = state_space_dual(*rounded)
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)
    expected, last = sequential_ssd(*(t.float() for t in rounded))
    torch.testing.assert_close(y, expected.bfloat16(), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(state_space_dual(*rounded)[1], state)


def test_no_token_and_no_row() -> None:
    for b, s in ((0, 5), (2, 0)):
        given = inputs(b, s, 4, 3, 2, 5)
        y, state = state_space_dual(*given)
        assert y.shape == (b, s, 4, 3)
        assert torch.equal(state, given[-1])
