"""Both scans against the float64 sequential one, which is itself checked against the equations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mamba_checks import EXACT, relative_error, results, scan_inputs, with_state
from torch import Tensor

from cobra_kit.errors import KernelError, ShapeError
from cobra_kit_mamba import scan_ops
from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.scan import selective_scan, selective_step
from cobra_kit_mamba.scan_chunked import chunked_scan
from cobra_kit_mamba.scan_reference import sequential_scan

SHAPES = [(2, 77, 64, 16), (8, 256, 512, 16), (2, 1, 16, 16), (2, 33, 24, 5), (1, 16, 8, 1), (3, 17, 72, 64)]
ODD_SHAPES = [(2, 77, 20, 16), (2, 5, 1, 3)]


def reference(*inputs: Tensor) -> tuple[Tensor, Tensor]:
    names = [*inputs, None]
    return sequential_scan(*names[:8], initial_state=names[8])


def chunked(*inputs: Tensor) -> tuple[Tensor, Tensor]:
    return chunked_scan(*[*inputs, None][:9])


def native(*inputs: Tensor) -> tuple[Tensor, Tensor]:
    y, state, _ = scan_ops.scan(*[*inputs, None][:9], None, torch.is_grad_enabled())
    return y, state


@pytest.fixture(autouse=True)
def _compiler(request: pytest.FixtureRequest) -> None:
    if "native" in request.node.name and load_native().library is None:
        pytest.skip(f"no C kernels here: {load_native().reason}")


def test_reference_is_the_equations() -> None:
    u, dt, B, C, A, D, z, bias = 0.7, 0.2, 1.5, -0.4, -0.8, 0.3, 0.9, 0.1
    step = math.log1p(math.exp(dt + bias))
    h, expected = 0.25, []
    for _ in range(2):
        h = math.exp(step * A) * h + step * u * B
        expected.append((C * h + D * u) * z / (1 + math.exp(-z)))
    seq = torch.full((1, 2, 1), 1.0, dtype=torch.float64)
    unit = torch.ones(1, dtype=torch.float64)
    initial = torch.full((1, 1, 1), 0.25, dtype=torch.float64)
    y, state = sequential_scan(
        u * seq, dt * seq, A * unit[None], B * seq, C * seq, D * unit, z * seq, bias * unit, initial_state=initial
    )
    assert y.flatten().tolist() == pytest.approx(expected, rel=1e-14)
    assert state.item() == pytest.approx(h, rel=1e-14)


@pytest.mark.parametrize("shape", [*SHAPES, *ODD_SHAPES], ids=str)
@pytest.mark.parametrize("initial", [False, True], ids=["fresh", "continued"])
def test_chunked_equals_float64_reference(shape: tuple[int, int, int, int], initial: bool) -> None:
    inputs = with_state(scan_inputs(*shape)) if initial else scan_inputs(*shape)
    expected = results(reference, inputs, torch.float64)
    for name, ours in results(chunked, inputs).items():
        assert relative_error(ours, expected[name]) <= EXACT, name


@pytest.mark.parametrize("shape", [*SHAPES, *ODD_SHAPES], ids=str)
@pytest.mark.parametrize("initial", [False, True], ids=["fresh", "continued"])
def test_native_equals_float64_reference(shape: tuple[int, int, int, int], initial: bool) -> None:
    inputs = with_state(scan_inputs(*shape)) if initial else scan_inputs(*shape)
    expected = results(reference, inputs, torch.float64)
    for name, ours in results(native, inputs).items():
        assert relative_error(ours, expected[name]) <= EXACT, name


@given(b=st.integers(1, 3), s=st.integers(1, 50), d=st.integers(1, 12), n=st.integers(1, 7), seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_chunked_equals_reference_for_any_shape(b: int, s: int, d: int, n: int, seed: int) -> None:
    inputs = with_state(scan_inputs(b, s, d, n, seed=seed), seed=seed)
    expected = results(reference, inputs, torch.float64)
    for name, ours in results(chunked, inputs, torch.float64).items():
        torch.testing.assert_close(ours, expected[name], rtol=1e-10, atol=1e-10, msg=name)


@given(
    b=st.integers(1, 3),
    s=st.integers(1, 50),
    d=st.integers(1, 70),
    n=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_native_equals_reference_for_any_shape(b: int, s: int, d: int, n: int, seed: int) -> None:
    inputs = with_state(scan_inputs(b, s, d, n, seed=seed), seed=seed)
    expected = results(reference, inputs, torch.float64)
    for name, ours in results(native, inputs).items():
        torch.testing.assert_close(ours.double(), expected[name], rtol=2e-5, atol=2e-5, msg=name)


@pytest.mark.parametrize("left_out", [(5,), (6,), (7,), (5, 6, 7)], ids=["D", "z", "dt_bias", "all three"])
def test_optional_inputs_native(left_out: tuple[int, ...]) -> None:
    inputs: list[Tensor | None] = [None if i in left_out else x for i, x in enumerate(scan_inputs(2, 21, 16, 4))]
    expected = sequential_scan(*[None if x is None else x.double() for x in inputs])
    for scan in (chunked, native):
        for ours, theirs in zip(scan(*inputs), expected, strict=True):
            assert relative_error(ours, theirs) <= EXACT


def test_native_takes_strided_rows() -> None:
    b, s, d, n = 2, 19, 32, 8
    inputs = scan_inputs(b, s, d, n)
    expected = results(native, inputs)

    def from_views(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        u, dt, A, B, C, D, z, bias = leaves
        u, z = torch.cat([u, z], dim=-1).chunk(2, dim=-1)  # a wider row
        dt = dt.transpose(1, 2).contiguous().transpose(1, 2)  # tokens innermost
        _, B, C = torch.cat([dt[..., :3], B, C], dim=-1).split([3, n, n], dim=-1)
        return native(u, dt, A, B, C, D, z, bias)

    # Equal bits: the kernel loads whatever the address and adds in one order; the gradients of what was cut off are 0.
    for name, ours in results(from_views, inputs).items():
        assert torch.equal(ours, expected[name]), name


def test_native_takes_one_token_of_any_stride() -> None:
    inputs = scan_inputs(2, 1, 16, 4)
    expected = native(*inputs)
    # Equal bits: one kernel on the same memory, of which only a stride that nobody uses differs.
    odd = [x.as_strided(x.shape, (x.stride(0), 7, 1)) if x.dim() == 3 else x for x in inputs]
    for ours, theirs in zip(native(*odd), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_native_changes_no_input() -> None:
    inputs = with_state(scan_inputs(1, 9, 8, 1))  # one state per channel: blocking it would not copy
    copies = [x.clone() for x in inputs]
    results(native, inputs)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


def test_extreme_time_steps_stay_finite() -> None:
    inputs = scan_inputs(2, 100, 16, 16)
    inputs[1][:, ::3] = 60.0  # a cumulative product of decays overflows within two tokens
    inputs[1][:, 1::3] = -60.0
    expected = results(reference, inputs, torch.float64)
    for scan in (chunked, native) if load_native().library is not None else (chunked,):
        for name, ours in results(scan, inputs).items():
            assert relative_error(ours, expected[name]) <= EXACT, name


@pytest.mark.parametrize("kernel", ["chunked", "native"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_bad_values_stay_in_their_row(kernel: str, bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    for spoilt in (0, 1, 3, 4, 6):
        inputs = scan_inputs(3, 20, 16, 4)
        expected = selective_scan(*inputs)
        inputs[spoilt][1, 7] = bad
        y = selective_scan(*inputs)
        # Equal bits: the same operations on tensors of the same shape, of which one row has other numbers.
        assert torch.equal(y[[0, 2]], expected[[0, 2]])
        assert torch.equal(y[1, :7], expected[1, :7])
        if math.isnan(bad):
            assert y[1, 7].isnan().all()


@pytest.mark.parametrize("kernel", ["chunked", "native"])
def test_nan_in_a_parameter_is_not_hidden(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    inputs = scan_inputs(2, 20, 16, 4)
    inputs[2][3, 1] = math.nan
    y = selective_scan(*inputs)
    assert y[:, :, 3].isnan().all()
    assert y[:, :, [c for c in range(16) if c != 3]].isfinite().all()


@pytest.mark.parametrize("kernel", ["chunked", "native"])
def test_minus_infinite_time_step_keeps_the_state(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    inputs = with_state(scan_inputs(2, 20, 16, 4))
    inputs[1].fill_(-math.inf)
    _, state = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
    torch.testing.assert_close(state, inputs[8], rtol=0, atol=1e-30)


@pytest.mark.parametrize("shape", [(0, 5, 8, 4), (2, 0, 8, 4)], ids=["no row", "no token"])
def test_nothing_to_scan(shape: tuple[int, int, int, int]) -> None:
    inputs = [x.requires_grad_() for x in with_state(scan_inputs(*shape))]
    y, state = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
    assert y.shape == shape[:3]
    assert torch.equal(state, inputs[8])
    (y.sum() + state.sum()).backward()
    assert inputs[2].grad is not None
    assert torch.equal(inputs[2].grad, torch.zeros_like(inputs[2]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_compute_in_float32(dtype: torch.dtype) -> None:
    inputs = [x.to(dtype) for x in scan_inputs(2, 300, 16, 16)]
    y, state = selective_scan(*inputs, return_state=True)
    expected, _ = sequential_scan(*[x.double() for x in inputs])
    assert (y.dtype, state.dtype) == (dtype, torch.float32)
    # Equal bits: after the first conversion it is the same call.
    assert torch.equal(y, selective_scan(*[x.float() for x in inputs]).to(dtype))
    assert relative_error(y, expected) <= torch.finfo(dtype).eps


@pytest.mark.parametrize("kernel", ["chunked", "native"])
def test_autocast_changes_nothing(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)

    def scan(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        return selective_scan(*leaves, return_state=True)

    expected = results(scan, scan_inputs(2, 40, 16, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = results(scan, scan_inputs(2, 40, 16, 4))
    # Equal bits: the same operations, in float32, on the same numbers.
    assert all(torch.equal(ours[name], value) for name, value in expected.items())


def test_float64_takes_the_chunked_scan() -> None:
    inputs = [x.double() for x in scan_inputs(2, 30, 16, 4)]
    torch.testing.assert_close(selective_scan(*inputs), sequential_scan(*inputs)[0], rtol=1e-12, atol=1e-12)


def test_chunked_gradients_by_finite_differences() -> None:
    inputs = [x.double().requires_grad_() for x in with_state(scan_inputs(1, 18, 2, 2))]
    assert torch.autograd.gradcheck(chunked, inputs)


@pytest.mark.parametrize("kernel", ["native", "chunked"])
@pytest.mark.parametrize("log_A", [False, True])
def test_step_equals_the_scan_and_keeps_the_address(kernel: str, log_A: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    inputs = with_state(scan_inputs(2, 12, 16, 4))
    u, dt, A, B, C, D, z, bias, state = inputs
    expected, last = selective_scan(*inputs[:8], initial_state=state, return_state=True)
    address = state.data_ptr()
    given = torch.log(-A) if log_A else A
    steps = [
        selective_step(state, u[:, t], dt[:, t], given, B[:, t], C[:, t], D, z[:, t], bias, log_A=log_A)
        for t in range(12)
    ]
    torch.testing.assert_close(torch.stack(steps, dim=1), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)
    assert state.data_ptr() == address


def test_misshaped_inputs_are_named() -> None:
    inputs = scan_inputs(2, 5, 8, 4)
    inputs[3] = inputs[3][:, :4]
    with pytest.raises(ShapeError, match=r"B of the scan must be \[2, 5, 4\], not \[2, 4, 4\]"):
        selective_scan(*inputs)
    with pytest.raises(ShapeError, match=r"takes u \[b s d\] and A \[d n\], not \[5, 8\]"):
        selective_scan(inputs[0][0], *inputs[1:])
    inputs = scan_inputs(2, 5, 8, 4)
    inputs[6] = inputs[6].to("meta")
    with pytest.raises(ShapeError, match="z of the scan is on meta, but u is on cpu"):
        selective_scan(*inputs)


def test_switch_refuses_an_unknown_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "fast")
    with pytest.raises(KernelError, match=r"COBRA_KIT_MAMBA_KERNEL is 'fast'\n.*one of auto, chunked, native"):
        selective_scan(*scan_inputs(1, 2, 8, 2))


def test_switch_refuses_what_native_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "native")
    with pytest.raises(KernelError, match="cannot be used: the computation is in float64"):
        selective_scan(*[x.double() for x in scan_inputs(1, 2, 8, 2)])
    with pytest.raises(KernelError, match="cannot be used: d_state 65 is over 64"):
        selective_scan(*scan_inputs(1, 2, 8, 65))
