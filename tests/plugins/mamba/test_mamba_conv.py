"""The convolution against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mamba_checks import EXACT, relative_error
from torch import Tensor

from cobra_kit_mamba.conv import causal_conv_silu, conv_silu_step
from cobra_kit_mamba.native import load_native


def torch_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    taps = weight.shape[1]
    y = F.conv1d(F.pad(x.transpose(1, 2), (taps - 1, 0)), weight.unsqueeze(1), bias, groups=x.shape[2])
    return F.silu(y).transpose(1, 2)


def inputs(b: int, s: int, d: int, taps: int = 4) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=g) for shape in ((b, s, d), (d, taps), (d,))]


@pytest.mark.parametrize("kernel", ["chunked", "native"])
@pytest.mark.parametrize("shape", [(2, 77, 64), (3, 1, 8), (1, 3, 520), (2, 300, 264), (2, 5, 3), (1, 9, 21)], ids=str)
def test_equals_torch(kernel: str, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    if kernel == "native" and load_native().library is None:
        pytest.skip(f"no C kernels here: {load_native().reason}")
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    ours = [x.requires_grad_() for x in inputs(*shape)]
    exact = [x.double().requires_grad_() for x in inputs(*shape)]
    y, expected = causal_conv_silu(*ours), torch_conv(*exact)
    assert relative_error(y, expected) <= EXACT
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(y, ours, weights), torch.autograd.grad(expected, exact, weights.double())
    for mine, theirs in zip(*gradients, strict=True):
        assert relative_error(mine, theirs) <= EXACT


@pytest.mark.parametrize("taps", [1, 2, 4, 7])
def test_any_length_and_no_bias(taps: int) -> None:
    x, weight, bias = inputs(2, 9, 12, taps)
    torch.testing.assert_close(causal_conv_silu(x, weight, bias), torch_conv(x, weight, bias))
    torch.testing.assert_close(causal_conv_silu(x, weight, None), torch_conv(x, weight, None))


@pytest.mark.parametrize("cut", [1, 2, 5, 9])
def test_continues_where_it_stopped(cut: int) -> None:
    x, weight, bias = inputs(2, 10, 16)
    before = F.pad(x[:, :cut], (0, 0, 3, 0))[:, -3:]
    whole = causal_conv_silu(x, weight, bias)
    torch.testing.assert_close(causal_conv_silu(x[:, cut:], weight, bias, before), whole[:, cut:])


def test_steps_equal_the_whole() -> None:
    x, weight, bias = inputs(2, 10, 16)
    state = torch.zeros(2, 16, 4)
    steps = torch.stack([conv_silu_step(state, x[:, t], weight, bias) for t in range(10)], dim=1)
    torch.testing.assert_close(steps, causal_conv_silu(x, weight, bias))
    assert torch.equal(state, x[:, -4:].transpose(1, 2))


def test_half_precision_computes_in_float32() -> None:
    x, weight, bias = (t.bfloat16() for t in inputs(2, 10, 16))
    expected = causal_conv_silu(x.float(), weight.float(), bias.float())
    # Equal bits: after the first conversion it is the same call.
    assert torch.equal(causal_conv_silu(x, weight, bias), expected.bfloat16())
