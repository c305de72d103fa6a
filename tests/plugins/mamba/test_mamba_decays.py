"""Every way to scan and to step, for decays over all of float32's range and one step beyond it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from decay_checks import LOWEST, check_decays
from hypothesis import given, settings
from hypothesis import strategies as st
from mamba_checks import build, scan_inputs, sequence, with_state
from torch import Tensor

from cobra_kit_mamba.backbone import MambaLanguageModel
from cobra_kit_mamba.config import MambaTinyConfig
from cobra_kit_mamba.mamba2_config import MambaTwoTinyConfig
from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.scan import selective_scan, selective_step

KERNELS = ["chunked", "native"]
RANGES = [(-100.0, -50.0), (-50.0, 0.0), (0.0, 30.0), (30.0, 60.0), (60.0, 88.7), (87.0, 88.7), (-100.0, 88.7)]


@pytest.fixture(autouse=True)
def _kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kernel")
    if kernel == "native" and load_native().library is None:
        pytest.skip(f"no C kernels here: {load_native().reason}")
    if kernel is not None:
        monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_decays_of_any_size(kernel: str, low: float, high: float) -> None:
    for seed in range(3):
        check_decays(low, high, seed)


@pytest.mark.parametrize("kernel", KERNELS)
def test_decays_of_any_size_by_search(kernel: str) -> None:
    @given(st.floats(-104, 88.7), st.floats(0, 30), st.integers(0, 2**31))
    @settings(max_examples=20, deadline=None)
    def search(low: float, span: float, seed: int) -> None:
        check_decays(low, min(88.7, low + span), seed)

    search()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("A_log", [-100.0, -80.0, 0.0, 30.0, 60.0, 80.0, 86.0, 88.0, 88.5])
def test_a_step_with_any_decay(kernel: str, A_log: float) -> None:
    g = torch.Generator().manual_seed(0)
    u, dt, B, C = (torch.randn(3, size, generator=g) for size in (19, 19, 5, 5))
    dt[1] -= A_log  # time steps that match the rate
    state, skip = torch.randn(3, 19, 5, generator=g), torch.zeros(19)
    step, rate = F.softplus(dt.double()), torch.full((19, 5), A_log)
    decay = torch.exp(-step.unsqueeze(-1) * rate.double().exp())
    expected = decay * state.double() + (step * u).unsqueeze(-1) * B.double().unsqueeze(1)
    for log_A in (True, False):
        ours = state.clone()
        given = rate if log_A else -rate.exp()
        y = selective_step(ours, u, dt, given, B, C, skip, torch.full((3, 19), 40.0), skip, log_A=log_A)
        torch.testing.assert_close(ours.double(), expected, rtol=2e-5, atol=2e-5)
        torch.testing.assert_close(y.double() / 40, (expected * C.double().unsqueeze(1)).sum(-1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_huge_state_is_multiplied_by_a_tiny_decay(kernel: str) -> None:
    inputs = with_state(scan_inputs(1, 1, 16, 4))
    inputs[0].zero_()
    inputs[1].fill_(30.0)
    inputs[7].zero_()
    inputs[8].fill_(1e38)
    for exponent in (-80.0, -88.0, -95.0, -102.0, -200.0, LOWEST):  # denormal from -87.3, nothing from -104
        inputs[2].fill_(exponent / 30)
        _, state = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
        expected = torch.full_like(state, 1e38 * math.exp(max(exponent, -1e3)))
        # A float with one bit left is half wrong.
        torch.testing.assert_close(state, expected, rtol=1e-4, atol=1e38 * 1.4e-45)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bad", [-math.inf, LOWEST])
def test_a_decay_beyond_floats_forgets_and_a_step_of_nothing_keeps(kernel: str, bad: float) -> None:
    inputs = [x.requires_grad_() for x in with_state(scan_inputs(2, 20, 16, 4))]
    with torch.no_grad():
        inputs[2][3] = bad
        inputs[1][1] = -math.inf
    y, state = selective_scan(*inputs[:8], initial_state=inputs[8], return_state=True)
    torch.testing.assert_close(state[1], inputs[8][1])
    added = F.softplus(inputs[1] + inputs[7])[0, -1, 3] * inputs[0][0, -1, 3] * inputs[3][0, -1]
    torch.testing.assert_close(state[0, 3], added)
    for gradient in torch.autograd.grad(y.square().sum() + state.sum(), inputs):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_gates_far_from_zero_close(kernel: str) -> None:
    inputs = scan_inputs(1, 3, 16, 4)
    inputs[6][0, 0], inputs[6][0, 1], inputs[6][0, 2] = -1e38, -100.0, -87.0
    y = selective_scan(*inputs)
    assert y.abs().max() < 1e-30


@pytest.mark.parametrize("kernel", ["chunked", "auto"])  # the float64 model has no C kernels
@pytest.mark.parametrize("config", [MambaTinyConfig(vocab_size=64), MambaTwoTinyConfig(vocab_size=64)])
def test_a_model_with_any_decays_prefills_steps_and_learns(kernel: str, config: MambaTinyConfig) -> None:
    model = build(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("A_log"):
                rates = torch.linspace(-100, 100, parameter.shape[-1]) if parameter.dim() == 2 else 95.0
                parameter.copy_(torch.as_tensor(rates).expand_as(parameter))
    embeddings = torch.randn(2, 12, model.hidden_size, generator=torch.Generator().manual_seed(0))
    exact_model = copy.deepcopy(model).double()
    whole = model(sequence(embeddings, [12, 7]))
    exact = exact_model(sequence(embeddings.double(), [12, 7]))
    real = sequence(embeddings, [12, 7]).layout.segment_ids != 0
    torch.testing.assert_close(whole[real].double(), exact[real], rtol=1e-4, atol=1e-4)
    whole[real].square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)

    with torch.no_grad():
        state = model.new_state(2, 12, device=torch.device("cpu"), dtype=torch.float32)
        model(sequence(embeddings[:, :8], [8, 5]), state)
        assert all(tensor.isfinite().all() for tensor in state.tensors.values())
        compare(model, embeddings[:, 8:], whole[:, 8:], state)


def compare(model: MambaLanguageModel, embeddings: Tensor, expected: Tensor, state) -> None:  # type: ignore[no-untyped-def]
    """Steps through the tokens; the first row is whole, so its outputs are those of the prefill."""
    for t in range(embeddings.shape[1]):
        stepped = model.step(embeddings[:, t], state)
        torch.testing.assert_close(stepped[0], expected[0, t], rtol=1e-4, atol=1e-4)
