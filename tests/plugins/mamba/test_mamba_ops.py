"""The torch operators: what tracing asks of them, segments, a carried past, determinism, and the wild inputs."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mamba_checks import EXACT, NAMES, build, relative_error, scan_inputs, sequence, with_state
from torch import Tensor

from cobra_kit_mamba import conv_ops, decode_ops, fused_mixer, norm_ops, scan_ops
from cobra_kit_mamba.block import RMSNorm
from cobra_kit_mamba.config import MambaTinyConfig
from cobra_kit_mamba.conv import causal_conv_silu, conv_silu_step
from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.scan import selective_scan, selective_step
from cobra_kit_mamba.scan_reference import sequential_scan

KERNELS = ["chunked", "native"]


@pytest.fixture(autouse=True)
def _compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kernel")
    if kernel is not None:
        monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    if kernel != "chunked" and load_native().library is None:
        pytest.skip(f"no C kernels here: {load_native().reason}")


def randoms(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=g) for shape in shapes]


def random_starts(b: int, s: int, seed: int = 0) -> Tensor:
    return torch.rand(b, s, generator=torch.Generator().manual_seed(seed)) < 0.2


def mixer_inputs(d: int = 20, rank: int = 3, n: int = 5) -> list[Tensor]:
    shapes = [(2, 9, 2 * d), (d, 4), (d,), (rank + 2 * n, d), (d, rank), (d,), (d, n), (d,)]
    return randoms(*shapes)


RULES = ("test_schema", "test_autograd_registration", "test_faketensor")


def test_operators_keep_torch_s_rules() -> None:
    inputs = [x.requires_grad_() for x in with_state(scan_inputs(2, 19, 20, 5))]
    starts = random_starts(2, 19)
    y, state, kept = scan_ops.scan(*inputs, starts, True)
    plain = [x.detach() for x in inputs[:8]]
    torch.library.opcheck(scan_ops.scan, (*inputs, starts, True), test_utils=RULES)
    torch.library.opcheck(
        scan_ops.scan_backward, (*plain, inputs[8].detach(), starts, kept, y.detach(), state.detach()), test_utils=RULES
    )
    x, weight, bias, before = (t.requires_grad_() for t in randoms((2, 9, 20), (20, 4), (20,), (2, 3, 20)))
    torch.library.opcheck(conv_ops.conv, (x, weight, bias, before, starts[:, :9]), test_utils=RULES)
    torch.library.opcheck(
        conv_ops.conv_backward, (x.detach(), weight.detach(), None, None, None, x.detach()), test_utils=RULES
    )
    torch.library.opcheck(norm_ops.norm, (x, bias, 1e-5), test_utils=RULES)
    torch.library.opcheck(norm_ops.add_norm, (x, x.detach().clone(), bias, 1e-5), test_utils=RULES)
    torch.library.opcheck(
        fused_mixer.mixer, (*(t.requires_grad_() for t in mixer_inputs()), starts[:, :9], True), test_utils=RULES
    )
    token = [t[:, 0].contiguous() if t.dim() == 3 else t for t in plain]
    torch.library.opcheck(decode_ops.scan_step, (randoms((2, 20, 5))[0], *token, torch.empty(2, 20)), test_utils=RULES)
    past = randoms((2, 20, 4))[0]
    torch.library.opcheck(
        decode_ops.conv_step, (past, token[0], weight.detach(), None, torch.empty(2, 20)), test_utils=RULES
    )


def test_tracing_gives_the_same_gradients() -> None:
    inputs = (*(t.requires_grad_() for t in mixer_inputs()), None, True)
    torch.library.opcheck(fused_mixer.mixer, inputs, test_utils="test_aot_dispatch_static")


def test_a_gradient_of_a_gradient_is_refused() -> None:
    x, weight, bias = (t.requires_grad_() for t in randoms((1, 5, 8), (8, 4), (8,)))
    (grad,) = torch.autograd.grad(conv_ops.conv(x, weight, bias, None, None).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        grad.sum().backward()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(2, 77, 64, 16), (3, 16, 20, 5), (1, 33, 1, 1), (2, 1, 8, 4)], ids=str)
def test_scan_forgets_at_starts(kernel: str, shape: tuple[int, int, int, int]) -> None:
    inputs, starts = with_state(scan_inputs(*shape)), random_starts(*shape[:2])
    g = torch.Generator().manual_seed(2)
    weights = [torch.randn(size, generator=g) for size in (shape[:3], (shape[0], *shape[2:]))]

    def results(scan, dtype: torch.dtype) -> dict[str, Tensor]:
        leaves = [x.to(dtype).requires_grad_() for x in inputs]
        outputs = scan(leaves)
        grads = torch.autograd.grad(outputs, leaves, [w.to(dtype) for w in weights])
        return {"y": outputs[0], "state": outputs[1], **dict(zip(NAMES, grads, strict=True))}

    def ours(x: list[Tensor]) -> tuple[Tensor, Tensor]:
        return selective_scan(*x[:8], initial_state=x[8], starts=starts, return_state=True)

    exact = results(lambda x: sequential_scan(*x[:8], initial_state=x[8], starts=starts), torch.float64)
    for name, value in results(ours, torch.float32).items():
        assert relative_error(value, exact[name]) <= EXACT, name


@given(b=st.integers(1, 3), s=st.integers(1, 40), d=st.integers(1, 40), seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_convolution_of_any_shape_with_a_past_and_segments(b: int, s: int, d: int, seed: int) -> None:
    inputs = randoms((b, s, d), (d, 4), (d,), (b, 3, d), (b, s, d), seed=seed)
    starts, weight = random_starts(b, s, seed), inputs.pop()

    def results(conv, dtype: torch.dtype) -> list[Tensor]:
        leaves = [x.to(dtype).requires_grad_() for x in inputs]
        y = conv(*leaves, starts)
        return [y, *torch.autograd.grad(y, leaves, weight.to(dtype))]

    for ours, exact in zip(results(conv_ops.conv, torch.float32), results(reference_conv, torch.float64), strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_convolution_of_a_segment_is_its_own(kernel: str) -> None:
    x, weight, bias = randoms((1, 12, 8), (8, 4), (8,))
    starts = torch.zeros(1, 12, dtype=torch.bool)
    starts[0, 5] = starts[0, 7] = True
    x[0, 6] = math.nan
    y = causal_conv_silu(x, weight, bias, starts=starts)
    for a, b in ((0, 5), (7, 12)):
        torch.testing.assert_close(y[:, a:b], causal_conv_silu(x[:, a:b], weight, bias))


def test_reference_convolution_by_finite_differences() -> None:
    inputs = [x.double().requires_grad_() for x in randoms((2, 6, 2), (2, 4), (2,), (2, 3, 2))]
    assert torch.autograd.gradcheck(lambda *x: reference_conv(*x, random_starts(2, 6)), inputs)


@pytest.mark.parametrize("width", [1, 16, 75, 128])
@pytest.mark.parametrize("add", [True, False])
def test_norm_equals_torch(width: int, add: bool) -> None:
    norm = RMSNorm(width, 1e-5)
    x, added, weight, *weights = randoms((3, 11, width), (3, 11, width), (width,), (3, 11, width), (3, 11, width))
    leaves = [x.requires_grad_(), added.requires_grad_()]
    with torch.no_grad():
        norm.weight.copy_(weight)
    outputs = norm(leaves[0], leaves[1] if add else None)
    used = [*leaves[: 1 + add], norm.weight]
    grads = torch.autograd.grad(outputs, used, weights)
    exact = [t.detach().double().requires_grad_() for t in used]
    total = exact[0] + exact[1] if add else exact[0]
    expected = total, F.rms_norm(total, (width,), exact[-1], 1e-5)
    theirs = torch.autograd.grad(expected, exact, [w.double() for w in weights])
    for ours, reference in zip((*outputs, *grads), (*expected, *theirs), strict=True):
        assert relative_error(ours, reference) <= 2e-6  # a width of 1 cancels


def test_norm_keeps_nan_in_its_row() -> None:
    x, weight, grad = randoms((4, 32), (32,), (4, 32))
    x[2, 5] = math.nan
    x.requires_grad_()
    y, _ = norm_ops.norm(x, weight, 1e-5)
    y.backward(grad)
    for tensor in (y, x.grad):
        assert tensor[2].isnan().all()
        assert tensor[[0, 1, 3]].isfinite().all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_token_of_any_width(kernel: str) -> None:
    for d, n in ((1, 1), (20, 5), (48, 16), (17, 40)):
        u, dt, A, B, C, D, z, bias, state = with_state(scan_inputs(2, 1, d, n))
        expected, last = sequential_scan(u, dt, A, B, C, D, z, bias, initial_state=state)
        y = selective_step(state, u[:, 0], dt[:, 0], A, B[:, 0], C[:, 0], D, z[:, 0], bias)
        torch.testing.assert_close(y, expected[:, 0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)
        x, weight, past = randoms((2, d), (d, 4), (2, d, 4))
        window = torch.cat([past[:, :, 1:], x.unsqueeze(-1)], dim=-1)
        y = conv_silu_step(past, x, weight, None)
        torch.testing.assert_close(y, F.silu((window * weight).sum(-1)), rtol=1e-5, atol=1e-5)
        assert torch.equal(past, window)


def test_one_token_takes_parts_of_wider_rows() -> None:
    u, dt, A, B, C, D, z, bias, state = with_state(scan_inputs(2, 1, 20, 5))
    plain = [t[:, 0].contiguous() for t in (u, dt, B, C, z)]
    expected = selective_step(state.clone(), *plain[:2], A, *plain[2:4], D, plain[4], bias)
    wide = torch.cat(plain, dim=-1)
    u, dt, B, C, z = wide.split([20, 20, 5, 5, 20], dim=-1)
    torch.testing.assert_close(selective_step(state, u, dt, A, B, C, D, z, bias), expected)


def test_results_do_not_depend_on_the_run() -> None:
    model = build(MambaTinyConfig(vocab_size=64)).train()
    x = randoms((3, 40, 128))[0]

    def gradients() -> list[Tensor]:
        model.zero_grad()
        model(sequence(x)).square().sum().backward()
        return [p.grad.clone() for n, p in model.named_parameters() if p.grad is not None]

    first = gradients()
    # Equal bits: the same operations in the same process, on as many threads; no sum depends on which comes first.
    assert all(torch.equal(a, b) for _ in range(3) for a, b in zip(first, gradients(), strict=True))


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_no_gradient_beyond_rounding(threads: int) -> None:
    def gradients() -> list[Tensor]:
        inputs = [x.requires_grad_() for x in mixer_inputs(d=70)]
        y, *_ = fused_mixer.mixer(*inputs, None, True)
        return list(torch.autograd.grad(y.square().sum(), inputs))

    expected = gradients()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)  # more than there are rows: the channels are split
    try:
        grads = gradients()
    finally:
        torch.set_num_threads(before)
    for ours, theirs in zip(grads, expected, strict=True):
        assert relative_error(ours, theirs) <= EXACT


def test_a_very_long_row() -> None:
    inputs = scan_inputs(1, 1_000_000, 1, 1)
    y = selective_scan(*inputs)
    tail = [x[:, -3000:] if x.dim() == 3 else x for x in inputs]  # older tokens are forgotten by then
    expected, _ = sequential_scan(*[x.double() for x in tail])
    assert relative_error(y[:, -500:], expected[:, -500:]) <= EXACT
