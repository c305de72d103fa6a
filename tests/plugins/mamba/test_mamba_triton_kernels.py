"""The Triton kernels against the float64 reference: on a GPU where there is one, else in Triton's interpreter.

`test_mamba_triton.py` starts this file once more with `TRITON_INTERPRET=1`: Triton must not be imported before.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from decay_checks import check_decays
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mamba_checks import NAMES, build, relative_error, scan_inputs, sequence, with_state
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import FusedSequence
from cobra_kit_mamba import conv_ops, decode_ops, norm_ops, scan_ops, selection
from cobra_kit_mamba.config import MambaTinyConfig
from cobra_kit_mamba.conv import causal_conv_silu, conv_silu_step
from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.scan import selective_scan, selective_step
from cobra_kit_mamba.scan_reference import sequential_scan

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CUDA = torch.cuda.is_available() and not INTERPRETED
if not CUDA and not INTERPRETED:
    pytest.skip("no CUDA device; test_mamba_triton.py runs this in Triton's interpreter", allow_module_level=True)

if INTERPRETED:
    from triton_interpreter import speed_up

    speed_up()

DEVICE = torch.device("cuda", 0) if CUDA else torch.device("cpu")
EXACT = 2e-5 if CUDA else 1e-6
"""Largest error of float32. A GPU's exponential is good to 2e-7 where numpy's is to 6e-8, and a state with a decay of
0.99 remembers a hundred such errors."""


def rounding(dtype: torch.dtype) -> float:
    """Returns the largest error of what is stored: half a step, or a whole one as the interpreter cuts bfloat16 off."""
    if dtype == torch.float32:
        return EXACT
    whole = INTERPRETED and dtype == torch.bfloat16
    return torch.finfo(dtype).eps * (1.0 if whole else 0.5) + EXACT


SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(autouse=True)
def _triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "triton")


def on_device(*tensors: Tensor) -> list[Tensor]:
    return [tensor.to(DEVICE) for tensor in tensors]


def whole_row(x: Tensor) -> FusedSequence:
    """Returns a layout of one segment per row, on the device of x."""
    return FusedSequence(x, sequence(x.cpu()).layout.to(x.device))


def random_starts(b: int, s: int, seed: int = 0, often: float = 0.2) -> Tensor:
    return torch.rand(b, s, generator=torch.Generator().manual_seed(seed)) < often


def all_of(
    scan: Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]], inputs: Sequence[Tensor], weights: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Returns outputs, last state and the gradients of all inputs."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    outputs = scan(leaves)
    grads = torch.autograd.grad(outputs, leaves, [w.to(out) for w, out in zip(weights, outputs, strict=True)])
    return {"y": outputs[0].detach(), "state": outputs[1].detach(), **dict(zip(NAMES, grads, strict=False))}


def compare(
    inputs: Sequence[Tensor], starts: Tensor | None = None, *, carried: bool = True, tolerance: float = EXACT
) -> None:
    """Checks outputs and gradients against the reference in float64 on the CPU."""
    g = torch.Generator().manual_seed(2)
    (b, _, d), n = inputs[0].shape, inputs[2].shape[1]
    weights = [torch.randn(inputs[0].shape, generator=g), torch.randn(b, d, n, generator=g)]
    last = 9 if carried else 8

    def ours(x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        marks = None if starts is None else starts.to(DEVICE)
        initial = x[8] if carried else None
        return selective_scan(*x[:8], initial_state=initial, starts=marks, return_state=True)

    def exact(x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        return sequential_scan(*x[:8], initial_state=x[8] if carried else None, starts=starts)

    expected = all_of(exact, [x.double() for x in inputs[:last]], weights)
    for name, gradient in all_of(ours, on_device(*inputs[:last]), weights).items():
        assert relative_error(gradient.cpu(), expected[name]) <= tolerance, name


@pytest.mark.parametrize("shape", [(2, 21, 11, 3), (1, 19, 8, 16), (2, 1, 3, 1)], ids=str)
@pytest.mark.parametrize("how", ["fresh", "continued", "segments"])
def test_scan_equals_the_reference(shape: tuple[int, int, int, int], how: str) -> None:
    starts = random_starts(*shape[:2]) if how == "segments" else None
    compare(with_state(scan_inputs(*shape)), starts, carried=how != "fresh")


@given(
    b=st.integers(1, 2),
    s=st.integers(1, 20),
    d=st.integers(1, 12),
    n=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    segments=st.booleans(),
    carried=st.booleans(),
)
@settings(max_examples=4 if INTERPRETED else 50, deadline=None, suppress_health_check=SLOW_TO_DRAW)
def test_scan_of_any_shape(b: int, s: int, d: int, n: int, seed: int, segments: bool, carried: bool) -> None:
    starts = random_starts(b, s, seed) if segments else None
    compare(with_state(scan_inputs(b, s, d, n, seed=seed), seed=seed), starts, carried=carried, tolerance=2e-5)


@pytest.mark.parametrize("left_out", [(5,), (6,), (7,), (5, 6, 7)], ids=["D", "z", "dt_bias", "all three"])
def test_optional_inputs(left_out: tuple[int, ...]) -> None:
    inputs = scan_inputs(1, 11, 5, 2)
    kept = [i for i in range(8) if i not in left_out]
    grad = torch.randn(1, 11, 5, generator=torch.Generator().manual_seed(1))

    def results(scan: Callable[..., Tensor], device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        leaves = {i: inputs[i].to(device, dtype).requires_grad_() for i in kept}
        y = scan(*(leaves.get(i) for i in range(8)))
        return [y, *torch.autograd.grad(y, list(leaves.values()), grad.to(y))]

    exact = results(lambda *x: sequential_scan(*x)[0], torch.device("cpu"), torch.float64)
    for ours, theirs in zip(results(selective_scan, DEVICE, torch.float32), exact, strict=True):
        assert relative_error(ours.cpu(), theirs) <= EXACT


def test_strided_inputs_are_read_where_they_lie() -> None:
    b, s, d, n = 2, 13, 8, 4
    inputs = on_device(*scan_inputs(b, s, d, n))
    grad = torch.randn(b, s, d, generator=torch.Generator().manual_seed(1)).to(DEVICE)

    def gradients(scan: Callable[..., Tensor], grad: Tensor) -> list[Tensor]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        y = scan(*leaves)
        return [y.detach(), *torch.autograd.grad(y, leaves, grad)]

    def from_views(*leaves: Tensor) -> Tensor:
        u, dt, A, B, C, D, z, bias = leaves
        u, z = torch.cat([u, z], dim=-1).chunk(2, dim=-1)
        dt = dt.transpose(1, 2).contiguous().transpose(1, 2)  # tokens innermost
        _, B, C = torch.cat([dt[..., :3], B, C], dim=-1).split([3, n, n], dim=-1)
        return selective_scan(u, dt, A.t().contiguous().t(), B, C, D, z, bias)

    odd = torch.stack([grad, grad], dim=-1)[..., 0]
    # Equal bits: the same programs on the same numbers; only where those lie differs.
    for ours, theirs in zip(gradients(from_views, odd), gradients(selective_scan, grad), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    """The only rounding of an output is its own as it is stored."""
    u, dt, A, B, C, D, z, bias, state = on_device(*with_state(scan_inputs(1, 20, 8, 4)))
    u, B, C, z = (x.to(dtype) for x in (u, B, C, z))
    given = [x.detach().requires_grad_() for x in (u, dt, A, B, C, D, z, bias, state)]
    y, last = selective_scan(*given[:8], initial_state=given[8], return_state=True)
    exact = [x.detach().double().cpu().requires_grad_() for x in given]
    expected, _ = sequential_scan(*exact[:8], initial_state=exact[8])
    assert (y.dtype, last.dtype) == (dtype, torch.float32)
    assert relative_error(y.cpu(), expected) <= rounding(dtype)
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    ours = torch.autograd.grad(y, given, grad.to(DEVICE))
    theirs = torch.autograd.grad(expected, exact, grad.double())
    for name, gradient, wanted in zip(NAMES, ours, theirs, strict=True):
        assert relative_error(gradient.cpu(), wanted) <= rounding(gradient.dtype), name


def test_extreme_time_steps_stay_finite() -> None:
    inputs = with_state(scan_inputs(1, 20, 4, 3))
    inputs[1][:, ::3] = 60.0  # a product of inverse decays overflows within two tokens
    inputs[1][:, 1::3] = -60.0
    compare(inputs, carried=False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_bad_values_stay_in_their_row(bad: float) -> None:
    for spoilt in (0, 1, 3, 4, 6):
        inputs = on_device(*scan_inputs(3, 9, 4, 2))
        expected = selective_scan(*inputs)
        inputs[spoilt][1, 7] = bad
        y = selective_scan(*inputs)
        assert torch.equal(y[[0, 2]], expected[[0, 2]])  # a program has one row
        assert torch.equal(y[1, :7], expected[1, :7])
        if math.isnan(bad):
            assert y[1, 7].isnan().all()


def test_nan_in_a_parameter_is_not_hidden() -> None:
    inputs = on_device(*scan_inputs(2, 20, 5, 3))
    inputs[2][3, 1] = math.nan
    y = selective_scan(*inputs)
    assert y[:, :, 3].isnan().all()
    assert y[:, :, [0, 1, 2, 4]].isfinite().all()


def test_nan_stays_in_its_segment() -> None:
    inputs = on_device(*scan_inputs(1, 50, 4, 2))  # three chunks under the interpreter
    inputs[0][0, 5] = math.nan
    starts = torch.zeros(1, 50, dtype=torch.bool, device=DEVICE)
    starts[0, 4] = starts[0, 9] = starts[0, 40] = True
    y = selective_scan(*inputs, starts=starts)
    assert y[0, 5:9].isnan().all()
    assert y[0, :5].isfinite().all()
    assert y[0, 9:].isfinite().all()


def test_minus_infinite_time_step_keeps_the_state() -> None:
    inputs = on_device(*with_state(scan_inputs(2, 20, 5, 3)))
    inputs[1].fill_(-math.inf)
    leaves = [x.requires_grad_() for x in inputs]
    _, state = selective_scan(*leaves[:8], initial_state=leaves[8], return_state=True)
    assert torch.equal(state, inputs[8])
    grads = torch.autograd.grad(state.sum(), [leaves[0], leaves[1], leaves[8]])
    assert not grads[0].any()
    assert not grads[1].any()
    assert torch.equal(grads[2], torch.ones_like(inputs[8]))


@pytest.mark.parametrize(("low", "high"), [(-50.0, 0.0), (30.0, 80.0), (-100.0, 80.0 if CUDA else 88.7)])
def test_decays_of_any_size(low: float, high: float) -> None:  # a GPU has no time steps below 1e-38
    check_decays(low, high, 0, shape=(1, 19, 5, 2), device=DEVICE)


def test_a_decay_beyond_floats_forgets_and_a_step_of_nothing_keeps() -> None:
    inputs = [x.requires_grad_() for x in on_device(*with_state(scan_inputs(2, 18, 5, 3)))]
    with torch.no_grad():
        inputs[2][3] = -math.inf
        inputs[1][1] = -math.inf
    y, state = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
    torch.testing.assert_close(state[1], inputs[8][1])
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(y.sum() + state.sum(), inputs))
    u, dt, _, B, C, D, z, bias, initial = (x.detach() for x in inputs)
    rates = torch.full((5, 3), 95.0, device=DEVICE)
    ours = initial.clone()
    selective_step(ours, u[:, 0], dt[:, 0], rates, B[:, 0], C[:, 0], D, z[:, 0], bias, log_A=True)
    torch.testing.assert_close(ours[1], initial[1])
    assert ours.isfinite().all()


@pytest.mark.parametrize("shape", [(0, 5, 8, 4), (2, 0, 8, 4)], ids=["no row", "no token"])
def test_nothing_to_scan(shape: tuple[int, int, int, int]) -> None:
    inputs = [x.requires_grad_() for x in on_device(*with_state(scan_inputs(*shape)))]
    y, state = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
    assert y.shape == shape[:3]
    assert torch.equal(state, inputs[8])
    (y.sum() + state.sum()).backward()
    x, weight = torch.zeros(shape[:3], device=DEVICE), torch.ones(8, 4, device=DEVICE)
    assert causal_conv_silu(x, weight, None).shape == shape[:3]


def test_only_one_of_the_two_outputs_has_a_gradient() -> None:
    inputs = [x.requires_grad_() for x in on_device(*with_state(scan_inputs(1, 9, 4, 2)))]
    exact = [x.detach().double().cpu().requires_grad_() for x in inputs]
    ours = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
    theirs = sequential_scan(*exact[:8], initial_state=exact[8])
    (gradient,) = torch.autograd.grad(ours[1].square().sum(), inputs[8], retain_graph=True)
    (wanted,) = torch.autograd.grad(theirs[1].square().sum(), exact[8], retain_graph=True)
    assert relative_error(gradient.cpu(), wanted) <= EXACT
    (gradient,) = torch.autograd.grad(ours[0].square().sum(), inputs[1])
    (wanted,) = torch.autograd.grad(theirs[0].square().sum(), exact[1])
    assert relative_error(gradient.cpu(), wanted) <= EXACT


def test_the_backward_pass_gives_the_same_bits_every_time() -> None:
    inputs = on_device(*with_state(scan_inputs(1, 18 if INTERPRETED else 700, 4 if INTERPRETED else 300, 2)))

    def gradients() -> list[Tensor]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        y, last = selective_scan(*leaves[:8], initial_state=leaves[8], return_state=True)
        return list(torch.autograd.grad(y.square().sum() + last.sum(), leaves))

    first = gradients()
    for _ in range(1 if INTERPRETED else 5):
        assert all(torch.equal(a, b) for a, b in zip(first, gradients(), strict=True))


def test_chunks_of_every_number_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from cobra_kit_mamba.triton_kernels import scan_calls

    inputs = ScanInputs(*on_device(*scan_inputs(1, 45, 4, 2)))
    plan = scan_calls.forward_plan
    expected, last = sequential_scan(*(x.cpu().double() for x in (inputs.u, inputs.dt, inputs.A, inputs.B, inputs.C)),
                                     *(x.cpu().double() for x in (inputs.D, inputs.z, inputs.dt_bias)))  # fmt: skip
    for chunk in (4, 16, 44, 48):
        chunks = -(-45 // chunk)
        monkeypatch.setattr(
            scan_calls, "forward_plan", lambda *a, c=chunk, k=chunks: replace(plan(*a), chunk=c, chunks=k)
        )
        y, state = scan_calls.scan_forward(inputs)
        assert relative_error(y.cpu(), expected) <= EXACT
        assert relative_error(state.cpu(), last) <= EXACT


@pytest.mark.skipif(CUDA, reason="a GPU's block sizes are what every test here takes")
def test_with_the_block_sizes_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from cobra_kit_mamba.triton_kernels import calls, plan

    for module in (calls, plan):
        monkeypatch.setattr(module, "interpreted", lambda: False)
    compare(with_state(scan_inputs(1, 35, 70, 2)), random_starts(1, 35))
    g = torch.Generator().manual_seed(0)
    x, weight, grad = (torch.randn(shape, generator=g) for shape in ((1, 19, 70), (70, 4), (1, 19, 70)))
    leaves, exact = [x.requires_grad_(), weight.requires_grad_()], [x.detach().double(), weight.detach().double()]
    exact = [t.requires_grad_() for t in exact]
    y, expected = causal_conv_silu(*leaves, None), reference_conv(*exact, None)
    assert relative_error(y, expected) <= EXACT
    both = torch.autograd.grad(y, leaves, grad), torch.autograd.grad(expected, exact, grad.double())
    assert all(relative_error(ours, theirs) <= EXACT for ours, theirs in zip(*both, strict=True))


needs_gpu = pytest.mark.skipif(INTERPRETED, reason="needs a GPU: too large for the interpreter")


@needs_gpu
def test_a_million_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = on_device(*with_state(scan_inputs(1, 1_000_000, 4, 2)))
    leaves = [x.requires_grad_() for x in inputs]
    results = []
    for kernel in ("triton", "chunked"):
        monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
        y, last = selective_scan(*leaves[:8], initial_state=leaves[8], return_state=True)
        results.append([y, last, *torch.autograd.grad(y.square().mean() + last.sum(), leaves)])
    for ours, theirs in zip(*results, strict=True):
        assert relative_error(ours.cpu(), theirs.cpu()) <= 1e-4


@needs_gpu
def test_rows_that_lie_more_than_two_to_the_31_numbers_apart() -> None:
    u, dt, A, B, C, D, z, bias = on_device(*scan_inputs(2, 9, 8, 3))
    far = torch.empty(2**31 + 200, dtype=torch.bfloat16, device=DEVICE).as_strided((2, 9, 8), (2**31 + 7, 8, 1))
    near = u.bfloat16()
    far.copy_(near)
    assert torch.equal(selective_scan(far, dt, A, B, C, D, z, bias), selective_scan(near, dt, A, B, C, D, z, bias))


@needs_gpu
def test_tensors_on_two_devices_are_refused() -> None:
    inputs = on_device(*scan_inputs(1, 3, 4, 2))
    inputs[3] = inputs[3].cpu()
    with pytest.raises(ShapeError, match="B of the scan is on cpu, but u is on cuda:0"):
        selective_scan(*inputs)


@needs_gpu
def test_a_step_can_be_captured() -> None:
    model = build(MambaTinyConfig(vocab_size=40)).to(DEVICE)
    state = model.new_state(2, 9, device=DEVICE, dtype=torch.float32)
    hidden = torch.randn(2, model.hidden_size, device=DEVICE)
    model.step(hidden, state)  # compiles what it needs
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    expected = model.step(hidden, state)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = model.step(hidden, state)
    for name, tensor in state.tensors.items():
        tensor.copy_(before[name])
    graph.replay()
    torch.testing.assert_close(out, expected)


# One token


@pytest.mark.parametrize(("dtype", "log_A"), [(torch.float32, False), (torch.float32, True), (torch.bfloat16, True)])
def test_steps_equal_the_scan_and_keep_the_address(dtype: torch.dtype, log_A: bool) -> None:
    u, dt, A, B, C, D, z, bias, state = on_device(*with_state(scan_inputs(2, 6, 11, 3)))
    u, B, C, z = (x.to(dtype) for x in (u, B, C, z))
    expected, last = sequential_scan(
        *(x.double().cpu() for x in (u, dt, A, B, C, D, z, bias)), initial_state=state.double().cpu()
    )
    address = state.data_ptr()
    given = torch.log(-A) if log_A else A
    steps = [
        selective_step(state, u[:, t], dt[:, t], given, B[:, t], C[:, t], D, z[:, t], bias, log_A=log_A)
        for t in range(6)
    ]
    assert steps[0].dtype == dtype
    limit = rounding(dtype)
    assert relative_error(torch.stack(steps, dim=1).cpu(), expected) <= limit
    assert relative_error(state.cpu(), last) <= EXACT
    assert state.data_ptr() == address


@pytest.mark.parametrize("taps", [1, 2, 4, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_of_the_convolution(taps: int, dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=g).to(dtype) for shape in ((2, 9, 11), (11, taps), (11,)))
    expected = reference_conv(x.double(), weight.double(), bias.double())
    state = torch.zeros(2, 11, taps, dtype=dtype, device=DEVICE)
    x, weight, bias = on_device(x, weight, bias)
    steps = torch.stack([conv_silu_step(state, x[:, t], weight, bias) for t in range(9)], dim=1)
    limit = rounding(dtype)
    assert relative_error(steps.cpu(), expected) <= limit
    assert torch.equal(state, x[:, -taps:].transpose(1, 2))


# The convolution and the norm


@pytest.mark.parametrize("taps", [1, 4])
@pytest.mark.parametrize("how", ["plain", "past", "segments", "both"])
def test_convolution_equals_the_reference(taps: int, how: str) -> None:
    g = torch.Generator().manual_seed(taps)
    shapes = [(2, 13, 11), (11, taps), (11,), (2, taps - 1, 11)]
    inputs = [torch.randn(shape, generator=g) for shape in shapes]
    inputs = inputs if how in ("past", "both") and taps > 1 else inputs[:3]
    starts = random_starts(2, 13, taps, 0.3) if how in ("segments", "both") else None
    grad = torch.randn(2, 13, 11, generator=g)

    def results(conv: Callable[..., Tensor], device: torch.device, dtype: torch.dtype) -> list[Tensor]:
        leaves = [x.to(device, dtype).requires_grad_() for x in inputs]
        past = leaves[3] if len(leaves) > 3 else None
        y = conv(*leaves[:3], past, None if starts is None else starts.to(device))
        return [y, *torch.autograd.grad(y, leaves, grad.to(y))]

    exact = results(reference_conv, torch.device("cpu"), torch.float64)
    for ours, theirs in zip(results(causal_conv_silu, DEVICE, torch.float32), exact, strict=True):
        assert relative_error(ours.cpu(), theirs) <= EXACT


def test_convolution_of_half_a_row() -> None:
    g = torch.Generator().manual_seed(0)
    xz = torch.randn(1, 9, 24, generator=g).bfloat16().to(DEVICE)
    weight = torch.randn(12, 4, generator=g).bfloat16().to(DEVICE)
    y = causal_conv_silu(xz.chunk(2, dim=-1)[1], weight, None)
    expected = reference_conv(xz[..., 12:].double().cpu(), weight.double().cpu(), None)
    assert y.dtype == torch.bfloat16
    assert relative_error(y.cpu(), expected) <= rounding(torch.bfloat16)


def test_a_segment_s_convolution_sees_no_nan_before_it() -> None:
    x = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    starts = torch.zeros(1, 12, dtype=torch.bool, device=DEVICE)
    starts[0, 7] = True
    x[0, 6] = math.nan
    y = causal_conv_silu(x, torch.ones(8, 4, device=DEVICE), None, starts=starts)
    assert y[0, 6].isnan().all()
    assert y[0, 7:].isfinite().all()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 20])
def test_norm_equals_torch(stored: torch.dtype, width: int) -> None:
    """The residual stream stays float32; what is added to it and the weights are in the model's dtype."""
    g = torch.Generator().manual_seed(0)
    x, added, weight = (torch.randn(shape, generator=g) for shape in ((2, 7, width), (2, 7, width), (width,)))
    added, weight = added.to(stored), weight.to(stored)
    grads = [torch.randn(2, 7, width, generator=g), torch.randn(2, 7, width, generator=g).to(stored)]
    leaves = [t.to(DEVICE).requires_grad_() for t in (x, added, weight)]
    total, y, _ = norm_ops.add_norm(*leaves, 1e-5)
    assert (total.dtype, y.dtype) == (torch.float32, stored)
    gradients = torch.autograd.grad([total, y], leaves, [g.to(DEVICE) for g in grads])
    exact = [t.double().requires_grad_() for t in (x, added, weight)]
    summed = exact[0] + exact[1]
    normed = F.rms_norm(summed, (width,), exact[2], 1e-5)
    wanted = torch.autograd.grad([summed, normed], exact, [g.double() for g in grads])
    for ours, theirs in zip((total, y, *gradients), (summed, normed, *wanted), strict=True):
        assert relative_error(ours.cpu(), theirs) <= rounding(ours.dtype)


# Operators and the model

RULES = ("test_schema", "test_autograd_registration", "test_faketensor")


def test_operators_keep_torch_s_rules() -> None:
    selection.choose_scan(DEVICE, torch.float32, 3)  # registers the kernels
    inputs = on_device(*with_state(scan_inputs(1, 5, 4, 3)))
    inputs[0], inputs[6] = inputs[0].bfloat16(), inputs[6].bfloat16()
    starts = random_starts(1, 5).to(DEVICE)
    rules = RULES[:2] if INTERPRETED else RULES  # the CPU's fake kernel says what C keeps
    y, state, kept = scan_ops.scan(*inputs, starts, True)
    assert kept.numel() == 0
    torch.library.opcheck(scan_ops.scan, (*(x.requires_grad_() for x in inputs), starts, True), test_utils=rules)
    plain = [x.detach() for x in inputs]
    torch.library.opcheck(scan_ops.scan_backward, (*plain, starts, kept, y.detach(), state.detach()), test_utils=RULES)
    x, weight = plain[1], torch.randn(4, 4, device=DEVICE)
    torch.library.opcheck(conv_ops.conv, (x.requires_grad_(), weight, None, None, starts), test_utils=RULES)
    torch.library.opcheck(norm_ops.add_norm, (x, plain[0], torch.ones(4, device=DEVICE), 1e-5), test_utils=RULES)
    token = [t[:, 0].contiguous() if t.dim() == 3 else t for t in plain[:8]]
    torch.library.opcheck(
        decode_ops.scan_step, (plain[8].clone(), *token, torch.empty_like(token[0])), test_utils=RULES
    )


def test_a_model_runs_on_them_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    config = MambaTinyConfig(vocab_size=40, d_model=8, n_layer=1)
    model = build(config).to(DEVICE)
    x = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    assert [report.kernel for report in model.kernels()] == ["Triton"] * 3
    whole = model(whole_row(x)).detach()
    state = model.new_state(1, 9, device=DEVICE, dtype=torch.float32)
    steps = [model.step(x[:, t], state) for t in range(5)]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, rtol=1e-4, atol=1e-5)
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "chunked")
    plain = model(whole_row(x)).detach()
    torch.testing.assert_close(whole, plain, rtol=1e-4, atol=1e-5)
