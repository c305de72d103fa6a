"""A decode step in one call of C: the plain step's numbers, nothing allocated, nothing skipped that must be called."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mamba_checks import EXACT, build, relative_error
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import DecodeState
from cobra_kit_mamba import fused_step, native_decode
from cobra_kit_mamba.backbone import MambaBackbone, MambaLanguageModel
from cobra_kit_mamba.config import MambaConfig, MambaTinyConfig
from cobra_kit_mamba.native import load_native

pytestmark = pytest.mark.skipif(load_native().library is None, reason="no C kernels on this machine")

CPU = torch.device("cpu")
SMALL = {"tokenizer": "small", "weights": "none", "vocab_size": 64}


@pytest.fixture
def model() -> MambaBackbone:
    return build(MambaTinyConfig(vocab_size=64))


@pytest.fixture(autouse=True)
def _c_kernels_and_nothing_logged_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "auto")  # the suite may be held to another
    monkeypatch.setattr(fused_step, "_logged", set())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_state(model: MambaLanguageModel, rows: int) -> DecodeState:
    """Returns a state in which something has happened."""
    state = model.new_state(rows, 1, device=CPU, dtype=torch.float32)
    for i, tensor in enumerate(state.tensors.values()):
        tensor.copy_(random(*tensor.shape, seed=i))
    return state


def plain(model: MambaBackbone, embeddings: Tensor, state: DecodeState) -> Tensor:
    return MambaLanguageModel.step(model, embeddings, state)


class Operators(TorchDispatchMode):
    """Records the names of the operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def one_call(model: MambaBackbone, embeddings: Tensor, state: DecodeState) -> bool:
    """Steps, and returns whether it was one call."""
    with Operators() as called:
        model.step(embeddings, state)
    return "cobra_kit_mamba::decode_step" in called.names


@given(
    width=st.integers(1, 40),
    expand=st.integers(1, 3),
    d_state=st.integers(1, 40),
    rank=st.integers(1, 20),
    layers=st.integers(1, 3),
    rows=st.integers(1, fused_step.MAX_ROWS),
)
@settings(max_examples=30, deadline=None)
def test_equals_the_plain_step(width: int, expand: int, d_state: int, rank: int, layers: int, rows: int) -> None:
    sizes = {"d_model": width, "expand": expand, "d_state": d_state, "dt_rank": rank, "n_layer": layers}
    model = build(MambaConfig(**sizes, **SMALL))
    ours = random_state(model, rows)
    theirs, exact = copy.deepcopy(ours), copy.deepcopy(ours)
    exact.tensors = {name: tensor.double() for name, tensor in exact.tensors.items()}
    exact_model = copy.deepcopy(model).double()
    for token in range(2):
        embeddings = random(rows, width, seed=token)
        if token == 0:
            assert one_call(model, embeddings, copy.deepcopy(ours))
        y, expected = model.step(embeddings, ours), plain(model, embeddings, theirs)
        reference = plain(exact_model, embeddings.double(), exact)
        pairs = {"y": (y, expected, reference)}
        pairs |= {name: (ours.tensors[name], theirs.tensors[name], exact.tensors[name]) for name in ours.tensors}
        for name, (result, same, true) in pairs.items():
            # The plain step's own distance from the truth, where a norm of one channel magnifies rounding.
            assert relative_error(result, true) <= max(EXACT, 5 * relative_error(same, true)), name
    assert torch.equal(ours.lengths, theirs.lengths)


@pytest.mark.parametrize("rows", [1, 3])
def test_bit_near_at_the_size_of_the_benchmark(rows: int) -> None:
    model = build(MambaConfig(d_model=256, n_layer=4, **SMALL))
    ours = model.new_state(rows, 1, device=CPU, dtype=torch.float32)
    theirs = copy.deepcopy(ours)
    for token in range(5):
        embeddings = random(rows, 256, seed=token)
        assert relative_error(model.step(embeddings, ours), plain(model, embeddings, theirs)) <= EXACT
    for name, tensor in ours.tensors.items():
        assert relative_error(tensor, theirs.tensors[name]) <= EXACT, name


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_nothing_beyond_rounding(threads: int) -> None:
    model = build(MambaConfig(d_model=200, n_layer=4, **SMALL))
    assert 4 * 200 * 400 > 1 << 18  # the size from which decode.c shares the work
    states = [random_state(model, 2) for _ in range(2)]
    expected = model.step(random(2, 200), states[0])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        stepped = model.step(random(2, 200), states[1])
    finally:
        torch.set_num_threads(before)
    assert relative_error(stepped, expected) <= EXACT
    for name, tensor in states[0].tensors.items():
        assert relative_error(states[1].tensors[name], tensor) <= EXACT, name


def test_threads_of_python_may_step_at_once() -> None:
    model = build(MambaConfig(d_model=96, n_layer=3, **SMALL))
    tokens = [random(2, 96, seed=i) for i in range(20)]

    def decode(seed: int) -> Tensor:
        state = model.new_state(2, 1, device=CPU, dtype=torch.float32)
        return torch.stack([model.step(token + seed, state) for token in tokens])

    expected = [decode(seed) for seed in range(6)]
    decoded: dict[int, Tensor] = {}
    threads = [threading.Thread(target=lambda seed=i: decoded.update({seed: decode(seed)})) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Equal bits: a model so small takes one thread of OpenMP, and each step is the same call as before.
    assert 3 * 96 * 192 < 1 << 18  # the size from which decode.c shares the work
    assert all(torch.equal(decoded[i], expected[i]) for i in range(6))


def test_it_allocates_the_result_and_nothing_else(model: MambaBackbone) -> None:
    embeddings, state = random(3, 128), random_state(model, 3)
    model.step(embeddings, state)

    def allocated() -> list[int]:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            model.step(embeddings, state)
        memory = [event.cpu_memory_usage for event in profile.events() if event.name == "[memory]"]
        owned = [event.self_cpu_memory_usage for event in profile.events()]
        return [size for size in (*memory, *owned) if size > 0]

    assert allocated() == [3 * 128 * 4]
    native_decode._workspace.floats = None  # then there is something to see
    assert len(allocated()) == 2


def test_addresses_stay(model: MambaBackbone) -> None:
    state = random_state(model, 2)
    before = [tensor.data_ptr() for tensor in (*state.tensors.values(), state.lengths)]
    model.step(random(2, 128), state)
    assert [tensor.data_ptr() for tensor in (*state.tensors.values(), state.lengths)] == before
    assert state.lengths.tolist() == [1, 1]


@pytest.mark.parametrize("rows", [0, fused_step.MAX_ROWS + 1])
def test_other_batches_take_the_plain_step(model: MambaBackbone, rows: int, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = random_state(model, rows), random_state(model, rows)
    embeddings = random(rows, 128)
    # Equal bits: both are the plain step, on states that are equal and lie alike.
    assert torch.equal(model.step(embeddings, ours), plain(model, embeddings, theirs))
    assert not one_call(model, embeddings, ours)
    assert caplog.messages == []


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["token", "state"])
def test_bad_values_stay_in_their_row(model: MambaBackbone, bad: float, where: str) -> None:
    embeddings, good, state = random(6, 128), random_state(model, 6), random_state(model, 6)
    expected = model.step(embeddings, good)
    embeddings = embeddings.clone()
    (embeddings if where == "token" else state.tensors["ssm.0"])[4] = bad
    stepped = model.step(embeddings, state)
    others = [0, 1, 2, 3, 5]  # equal bits: the same call; rows share what is read of the weights, and no sum
    assert torch.equal(stepped[others], expected[others])
    assert not stepped[4].isfinite().all()


def test_tokens_need_not_lie_dense(model: MambaBackbone) -> None:
    wide = random(128, 3)
    # Equal bits: the step copies tokens that do not lie dense, and is then the same call.
    assert torch.equal(
        model.step(wide.t(), random_state(model, 3)), model.step(wide.t().clone(), random_state(model, 3))
    )


class Doubled(nn.Module):
    """Stands for a quantised or adapted projection."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner
        self.weight, self.bias = inner.weight, inner.bias
        self.in_features = inner.in_features

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.inner(x)


@pytest.mark.parametrize("name", ["in_proj", "x_proj", "out_proj"])
def test_a_wrapped_projection_is_called(model: MambaBackbone, name: str, caplog: pytest.LogCaptureFixture) -> None:
    embeddings, before = random(1, 128), model.step(random(1, 128), random_state(model, 1))
    mixer = model.get_submodule("backbone.layers.1.mixer")
    setattr(mixer, name, Doubled(mixer.get_submodule(name)))
    for _ in range(2):
        stepped = model.step(embeddings, random_state(model, 1))
    assert torch.equal(stepped, plain(model, embeddings, random_state(model, 1)))  # both are the plain step
    assert relative_error(stepped, before) > 1e-3
    assert caplog.messages == [
        "Mamba decodes block by block, slower than in one call: "
        f"layers.1.mixer.{name} is of the class Doubled, not Linear"
    ]


@pytest.mark.parametrize("path", ["layers.0.norm", "layers.1.mixer.in_proj", "norm_f"])
def test_a_hook_is_called(model: MambaBackbone, path: str) -> None:
    embeddings, calls = random(1, 128), []
    assert one_call(model, embeddings, random_state(model, 1))
    handle = model.backbone.get_submodule(path).register_forward_hook(lambda *_: calls.append(1))
    assert not one_call(model, embeddings, random_state(model, 1))
    assert calls == [1]
    handle.remove()
    assert one_call(model, embeddings, random_state(model, 1))
    assert calls == [1]


@pytest.mark.parametrize("path", ["", "layers.0", "layers.1.mixer", "layers.0.mixer.dt_proj", "layers.0.mixer.conv1d"])
def test_a_hook_on_what_a_step_would_pass_by_is_called_on_rows_of_one_token(model: MambaBackbone, path: str) -> None:
    embeddings, shapes = random(2, 128), []
    before = model.step(embeddings, random_state(model, 2))
    module = model.backbone.get_submodule(path)
    handle = module.register_forward_pre_hook(lambda _, inputs: shapes.append(list(inputs[0].shape)))
    stepped = model.step(embeddings, random_state(model, 2))
    assert relative_error(stepped, before) < 1e-5
    assert len(shapes) == 1
    assert shapes[0][0] == 2
    handle.remove()
    model.step(embeddings, random_state(model, 2))
    assert len(shapes) == 1


def _load(model: MambaBackbone) -> None:
    model.load_state_dict(build(MambaTinyConfig(vocab_size=64), seed=5).state_dict())


def _assign(model: MambaBackbone) -> None:
    model.load_state_dict(build(MambaTinyConfig(vocab_size=64), seed=5).state_dict(), assign=True)


def _replace(model: MambaBackbone) -> None:
    model.backbone.layers[1] = build(MambaTinyConfig(vocab_size=64), seed=5).backbone.layers[1]


def _set_data(model: MambaBackbone) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data * 1.5


def _other_eps(model: MambaBackbone) -> None:
    model.backbone.norm_f.eps = 1.0


def _add_bias(model: MambaBackbone) -> None:
    model.backbone.layers[0].mixer.out_proj.bias = nn.Parameter(torch.ones(128))


def _half(model: MambaBackbone) -> None:
    model.backbone.layers[1].mixer.in_proj.to(torch.float64)
    model.backbone.layers[1].mixer.in_proj.to(torch.float32)


@pytest.mark.parametrize("change", [_load, _assign, _replace, _set_data, _other_eps, _add_bias, _half])
def test_a_change_of_the_model_is_seen(model: MambaBackbone, change) -> None:  # type: ignore[no-untyped-def]
    embeddings = random(1, 128)
    before = model.step(embeddings, random_state(model, 1))
    change(model)
    stepped = model.step(embeddings, random_state(model, 1))
    assert relative_error(stepped, plain(model, embeddings, random_state(model, 1))) <= 2e-6
    assert change is _half or relative_error(stepped, before) > 1e-4


def test_bfloat16_weights_take_the_plain_step(model: MambaBackbone, caplog: pytest.LogCaptureFixture) -> None:
    model.to(torch.bfloat16)
    embeddings = random(2, 128).bfloat16()
    for _ in range(2):
        states = [model.new_state(2, 1, device=CPU, dtype=torch.bfloat16) for _ in range(2)]
        # Equal bits: both are the plain step.
        assert torch.equal(model.step(embeddings, states[0]), plain(model, embeddings, states[1]))
    (line,) = caplog.messages
    assert line.endswith("block by block, slower than in one call: layers.0.norm.weight is bfloat16, not float32")
    step = next(report for report in model.kernels() if report.layer.endswith("step"))
    assert step.reason == "block by block, not in one call: layers.0.norm.weight is bfloat16, not float32"


def test_a_state_in_bfloat16_takes_the_plain_step(model: MambaBackbone, caplog: pytest.LogCaptureFixture) -> None:
    states = [model.new_state(2, 1, device=CPU, dtype=torch.bfloat16) for _ in range(2)]
    # Equal bits: both are the plain step.
    assert torch.equal(model.step(random(2, 128), states[0]), plain(model, random(2, 128), states[1]))
    assert caplog.messages[0].endswith("the embeddings or the decode state are not float32, or do not fit the model")


def test_a_state_of_other_sizes_is_refused(model: MambaBackbone) -> None:
    other = build(MambaConfig(d_model=64, n_layer=2, **SMALL))
    with pytest.raises(ShapeError, match=r"conv\.0 of the decode state must be \[2, 256, 4\], but is \[2, 128, 4\]"):
        model.step(random(2, 128), random_state(other, 2))
    with pytest.raises(ShapeError, match=r"conv\.0 of the decode state must be \[3, 256, 4\], but is \[2, 256, 4\]"):
        model.step(random(3, 128), random_state(model, 2))
    with pytest.raises(ShapeError, match=r"a step takes embeddings \[b 128\], not \[2, 64\]"):
        model.step(random(2, 64), random_state(model, 2))
    state = random_state(model, 2)
    del state.tensors["ssm.1"]
    with pytest.raises(ShapeError, match=r"ssm\.1 of the decode state must be \[2, 256, 16\], but is missing"):
        model.step(random(2, 128), state)


def test_the_switch_and_autocast_are_obeyed(model: MambaBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not one_call(model, random(1, 128), random_state(model, 1))
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "chunked")
    assert not one_call(model, random(1, 128), random_state(model, 1))


@pytest.fixture
def frozen_states(model: MambaBackbone) -> Iterator[DecodeState]:
    with torch.inference_mode():
        yield random_state(model, 1)


def test_inference_mode(model: MambaBackbone, frozen_states: DecodeState) -> None:
    with torch.inference_mode():
        assert one_call(model, random(1, 128), frozen_states)


def test_operator_keeps_torch_s_rules(model: MambaBackbone) -> None:
    state = random_state(model, 2)
    parameters = fused_step.find_plan(model.backbone).parameters
    plain_parameters = [parameter.detach() for parameter in parameters]
    given = random(2, 128), plain_parameters, list(state.tensors.values()), state.lengths, 1e-5, torch.empty(2, 128)
    torch.library.opcheck(fused_step.decode_step, given, test_utils=("test_schema", "test_faketensor"))
