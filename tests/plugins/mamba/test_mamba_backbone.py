"""The backbones against transformers' Mamba and Mamba-2, and the promises every backbone makes."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from mamba_checks import build, relative_error, sequence
from pydantic import ValidationError
from torch import Tensor

from cobra_kit.errors import KernelError, ShapeError
from cobra_kit.interfaces import DecodeState, FusedSequence
from cobra_kit.model.placement import place
from cobra_kit_mamba import config as configs
from cobra_kit_mamba import mamba2_config as mamba2_configs
from cobra_kit_mamba import plugin
from cobra_kit_mamba.backbone import MambaBackbone, MambaLanguageModel
from cobra_kit_mamba.config import MambaConfig, MambaTinyConfig
from cobra_kit_mamba.mamba2 import Mamba2Backbone
from cobra_kit_mamba.mamba2_config import MambaTwoConfig, MambaTwoTinyConfig
from cobra_kit_mamba.native import load_native

SMALL = {"tokenizer": "small", "weights": "none"}
SIZES = [
    MambaTinyConfig(vocab_size=500),
    MambaConfig(d_model=48, n_layer=3, d_state=8, expand=3, dt_rank=5, vocab_size=101, **SMALL),
    MambaConfig(d_model=20, n_layer=1, d_conv=3, norm_eps=1e-3, vocab_size=64, **SMALL),  # the C convolution has 4 taps
]
MAMBA2_SIZES = [
    MambaTwoTinyConfig(vocab_size=500),
    MambaTwoConfig(d_model=24, n_layer=3, d_state=5, expand=3, head_dim=6, n_groups=4, vocab_size=101, **SMALL),
    MambaTwoConfig(d_model=20, n_layer=1, d_state=7, head_dim=40, d_conv=3, norm_eps=1e-3, vocab_size=64, **SMALL),
]
KERNELS = ["chunked", "native"]


@pytest.fixture
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "native" and load_native().library is None:
        pytest.skip(f"no C kernels here: {load_native().reason}")
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def mamba1() -> MambaBackbone:
    return build(MambaTinyConfig(vocab_size=300))


@pytest.fixture(scope="module")
def mamba2() -> Mamba2Backbone:
    return build(MambaTwoTinyConfig(vocab_size=300))


@pytest.fixture(params=["mamba1", "mamba2"])
def model(request: pytest.FixtureRequest) -> MambaLanguageModel:
    chosen: MambaLanguageModel = request.getfixturevalue(request.param)
    return chosen


def embeddings(b: int, s: int, seed: int = 0) -> Tensor:
    return torch.randn(b, s, 128, generator=torch.Generator().manual_seed(seed))


def fresh(model: MambaLanguageModel, batch: int) -> DecodeState:
    return model.new_state(batch, 99, device=torch.device("cpu"), dtype=torch.float32)


def theirs(ours: MambaLanguageModel) -> torch.nn.Module:
    other = theirs_mamba2(ours) if isinstance(ours, Mamba2Backbone) else theirs_mamba1(ours)
    values = {n.replace("backbone.embedding.", "backbone.embeddings."): t for n, t in ours.state_dict().items()}
    other.load_state_dict(values, strict=True)
    return other.eval()


def theirs_mamba1(ours: MambaLanguageModel) -> torch.nn.Module:
    c = ours.config
    assert isinstance(c, MambaConfig)
    return transformers.MambaForCausalLM(
        transformers.MambaConfig(
            vocab_size=ours.vocab_size,
            hidden_size=c.d_model,
            state_size=c.d_state,
            num_hidden_layers=c.n_layer,
            expand=c.expand,
            conv_kernel=c.d_conv,
            time_step_rank=c.resolved_dt_rank,
            layer_norm_epsilon=c.norm_eps,
            tie_word_embeddings=True,
            use_mambapy=False,
        )
    )


def theirs_mamba2(ours: MambaLanguageModel) -> torch.nn.Module:
    c = ours.config
    assert isinstance(c, MambaTwoConfig)
    return transformers.Mamba2ForCausalLM(
        transformers.Mamba2Config(
            vocab_size=ours.vocab_size,
            hidden_size=c.d_model,
            state_size=c.d_state,
            num_hidden_layers=c.n_layer,
            expand=c.expand,
            conv_kernel=c.d_conv,
            num_heads=c.n_heads,
            head_dim=c.head_dim,
            n_groups=c.n_groups,
            layer_norm_epsilon=c.norm_eps,
            chunk_size=32,
            tie_word_embeddings=True,
        )
    )


@pytest.mark.parametrize("config", [*SIZES, *MAMBA2_SIZES], ids=lambda c: f"{type(c).__name__} d{c.d_model}")
def test_logits_and_gradients_equal_transformers(config: MambaConfig | MambaTwoConfig) -> None:
    ours, length = build(config), 40 if isinstance(config, MambaConfig) else 150  # over Mamba-2's chunks
    other = theirs(ours)
    ids = torch.randint(0, ours.vocab_size, (2, length), generator=torch.Generator().manual_seed(3))
    our_logits = ours.logits(ours(sequence(ours.embed(ids.flatten()).view(2, length, -1))))
    their_logits = other(ids).logits
    torch.testing.assert_close(our_logits, their_logits, rtol=1e-4, atol=1e-4)

    for logits in (our_logits, their_logits):
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    gradients = {n.replace("embeddings.", "embedding."): p.grad for n, p in other.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        assert relative_error(parameter.grad, gradients[name]) <= 1e-3, name


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_padding_and_batching_change_nothing(model: MambaLanguageModel, kernel: str) -> None:
    x, lengths = embeddings(3, 30), [30, 17, 1]
    batched = model(sequence(x, lengths))
    for row, length in enumerate(lengths):
        alone = model(sequence(x[row : row + 1, :length]))
        torch.testing.assert_close(batched[row : row + 1, :length], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_steps_equal_the_full_pass(model: MambaLanguageModel, kernel: str) -> None:
    x = embeddings(2, 20)
    full, state = model(sequence(x)), fresh(model, 2)
    steps = torch.stack([model.step(x[:, t], state) for t in range(20)], dim=1)
    torch.testing.assert_close(steps, full, rtol=1e-4, atol=1e-4)
    assert state.lengths.tolist() == [20, 20]


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
@pytest.mark.parametrize("cuts", [[7], [1, 2, 3, 18], [2]], ids=str)
def test_prefill_in_parts_equals_the_full_pass(model: MambaLanguageModel, kernel: str, cuts: list[int]) -> None:
    x = embeddings(2, 20)
    full, whole = model(sequence(x), state := fresh(model, 2)), fresh(model, 2)
    edges = [0, *cuts, 20]
    parts = [model(sequence(x[:, a:b]), whole) for a, b in itertools.pairwise(edges)]
    torch.testing.assert_close(torch.cat(parts, dim=1), full, rtol=1e-4, atol=1e-4)
    for name, tensor in state.tensors.items():
        torch.testing.assert_close(whole.tensors[name], tensor, rtol=1e-4, atol=1e-4, msg=name)
    assert torch.equal(whole.lengths, state.lengths)


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_state_after_padded_prefill_is_that_of_the_last_real_token(model: MambaLanguageModel, kernel: str) -> None:
    x, more, lengths = embeddings(4, 12), embeddings(4, 9, seed=1), [12, 2, 5, 1]
    further = [3, 9, 0, 1]
    state = fresh(model, 4)
    addresses = {name: tensor.data_ptr() for name, tensor in state.tensors.items()}
    model(sequence(x, lengths), state)
    model(sequence(more, further), state)
    next_token = embeddings(4, 1, seed=2)[:, 0]
    stepped = model.step(next_token, state)
    for row in range(4):
        tokens = torch.cat([x[row, : lengths[row]], more[row, : further[row]], next_token[row : row + 1]])
        alone = model(sequence(tokens[None]))[0, -1]
        torch.testing.assert_close(stepped[row], alone, rtol=1e-4, atol=1e-4)
    assert state.lengths.tolist() == [a + b + 1 for a, b in zip(lengths, further, strict=True)]
    assert {name: tensor.data_ptr() for name, tensor in state.tensors.items()} == addresses


def test_state_rows_can_be_selected_and_reset(model: MambaLanguageModel) -> None:
    x = embeddings(3, 6)
    state = fresh(model, 3)
    model(sequence(x), state)
    chosen = state.select(torch.tensor([2, 0]))
    chosen.reset(torch.tensor([1]))
    stepped = model.step(x[[2, 0], 0], chosen)
    first = model(sequence(torch.cat([x[2], x[2, :1]])[None]))[0, -1]
    torch.testing.assert_close(stepped[0], first, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(stepped[1], model(sequence(x[:1, :1]))[0, 0], rtol=1e-4, atol=1e-4)


def test_state_has_its_promised_size(mamba1: MambaBackbone) -> None:
    state = mamba1.new_state(2, 10**9, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert set(state.tensors) == {"conv.0", "ssm.0", "conv.1", "ssm.1"}
    assert state.tensors["conv.0"].shape == (2, 256, 4)
    assert state.tensors["conv.0"].dtype == torch.bfloat16
    assert state.tensors["ssm.1"].shape == (2, 256, 16)
    assert state.tensors["ssm.1"].dtype == torch.float32
    assert state.nbytes == 2 * 2 * (256 * 4 * 2 + 256 * 16 * 4) + 2 * 4


def test_state_of_mamba2_has_its_promised_size(mamba2: Mamba2Backbone) -> None:
    state = mamba2.new_state(2, 10**9, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert set(state.tensors) == {"conv.0", "ssm.0", "conv.1", "ssm.1"}
    assert state.tensors["conv.0"].shape == (2, 256 + 2 * 32, 4)
    assert state.tensors["conv.0"].dtype == torch.bfloat16
    assert state.tensors["ssm.1"].shape == (2, 8, 32, 32)
    assert state.tensors["ssm.1"].dtype == torch.float32


def test_a_training_pass_with_a_state_is_still_differentiable(model: MambaLanguageModel) -> None:
    x = embeddings(1, 8).requires_grad_()
    state = fresh(model, 1)
    model(sequence(x), state).sum().backward()
    plain = embeddings(1, 8).requires_grad_()
    model(sequence(plain)).sum().backward()
    torch.testing.assert_close(x.grad, plain.grad, rtol=1e-4, atol=1e-4)
    assert not state.tensors["ssm.0"].requires_grad


def test_a_token_sees_none_after_it(model: MambaLanguageModel) -> None:
    x = embeddings(1, 16)
    before = model(sequence(x))
    x[:, 9:] += 1
    after = model(sequence(x))
    torch.testing.assert_close(after[:, :9], before[:, :9], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(after[:, 9:], before[:, 9:], atol=1e-2)


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
@pytest.mark.parametrize("with_state", [False, True])
def test_nan_stays_in_its_row(model: MambaLanguageModel, kernel: str, with_state: bool) -> None:
    x, lengths = embeddings(3, 10), [10, 6, 8]
    x[1, 2] = math.nan
    x[0, 8:] = x[2, 8:] = x[1, 2]  # padding points at another row's token
    lengths[0] = 8
    state = fresh(model, 3) if with_state else None
    hidden = model(sequence(x, lengths), state)
    assert hidden[[0, 2]].isfinite().all()
    assert hidden[1, 2:6].isnan().all()
    if isinstance(model, MambaBackbone):  # in Mamba-2's matrix products 0 x NaN reaches tokens before it
        assert hidden[1, :2].isfinite().all()
    if state is not None:
        assert all(tensor[[0, 2]].isfinite().all() for tensor in state.tensors.values())


@pytest.mark.parametrize("shape", [(0, 5), (0, 0), (2, 0)], ids=["no row", "nothing", "no token"])
@pytest.mark.parametrize("with_state", [False, True])
def test_an_empty_batch_gives_empty_states(model: MambaLanguageModel, shape: tuple[int, int], with_state: bool) -> None:
    state = fresh(model, shape[0]) if with_state else None
    hidden = model(sequence(embeddings(*shape)), state)
    assert hidden.shape == (*shape, 128)
    assert model.logits(hidden).shape == (*shape, 304)
    if state is not None:
        assert not any(tensor.any() for tensor in state.tensors.values())


def packed(x: Tensor, segments: list[list[int]], width: int) -> FusedSequence:
    """Returns rows of several segments of these lengths, padded on the right."""
    ids = torch.zeros(len(segments), width, dtype=torch.int32)
    for row, lengths in enumerate(segments):
        ids[row, : sum(lengths)] = torch.arange(1, len(lengths) + 1).repeat_interleave(torch.tensor(lengths))
    ends = torch.tensor([0, *itertools.chain(*segments)]).cumsum(0).to(torch.int32)
    plain = sequence(x, [sum(lengths) for lengths in segments])
    return FusedSequence(x, replace(plain.layout, segment_ids=ids, cu_seqlens=ends))


def check_packed(model: MambaLanguageModel, segments: list[list[int]], width: int) -> None:
    """Compares a packed batch with its segments in rows of their own: hidden states and gradients."""
    x = embeddings(len(segments), width).requires_grad_()
    hidden = model(packed(x, segments, width))
    weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = torch.zeros(()), torch.zeros(())
    for row, lengths in enumerate(segments):
        ends = [0, *itertools.accumulate(lengths)]
        for a, b in itertools.pairwise(ends):
            alone = model(sequence(x[row : row + 1, a:b]))
            torch.testing.assert_close(hidden[row : row + 1, a:b], alone, rtol=1e-4, atol=1e-4)
            ours = ours + (hidden[row, a:b] * weights[row, a:b]).sum()
            theirs = theirs + (alone[0] * weights[row, a:b]).sum()
    inputs = [x, *(p for n, p in model.named_parameters() if "embedding" not in n)]
    for mine, other in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        assert relative_error(mine, other) <= 1e-4


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
@pytest.mark.parametrize("fused", [True, False], ids=["one operator", "parts"])
def test_packed_segments_equal_their_own_rows(mamba1: MambaBackbone, kernel: str, fused: bool) -> None:
    hook = mamba1.blocks()[0].mixer.x_proj.register_forward_hook(lambda *_: None) if not fused else None
    check_packed(mamba1, [[1, 7, 20, 2], [30], [3, 3]], 33)
    if hook is not None:
        hook.remove()


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_packed_segments_of_mamba2_equal_their_own_rows(mamba2: Mamba2Backbone, kernel: str) -> None:
    check_packed(mamba2, [[1, 7, 20, 2], [30], [3, 3]], 33)
    check_packed(mamba2, [[60, 4, 70, 1], [64, 64]], 140)  # segments that end in a chunk, with one, and after it


@pytest.mark.parametrize("kernel", KERNELS, indirect=True)
def test_nan_stays_in_its_segment(mamba1: MambaBackbone, kernel: str) -> None:
    x = embeddings(1, 20)
    x[0, 9] = math.nan
    hidden = mamba1(packed(x, [[8, 4, 8]], 20))
    assert hidden[0, :9].isfinite().all()
    assert hidden[0, 9:12].isnan().all()
    assert hidden[0, 12:].isfinite().all()


def test_a_state_takes_no_packed_rows(mamba1: MambaBackbone) -> None:
    with pytest.raises(KernelError, match=r"one segment per row, but the layout is packed\n.*without packing"):
        mamba1(packed(embeddings(1, 6), [[3, 3]], 6), fresh(mamba1, 1))


def test_the_fused_mixer_equals_its_parts(mamba1: MambaBackbone) -> None:
    if load_native().library is None:
        pytest.skip(f"no C kernels here: {load_native().reason}")
    mixer = mamba1.blocks()[0].mixer
    results = []
    calls: list[int] = []
    for hooked in (False, True):  # a hook must be called, so the parts are
        x = embeddings(2, 37).requires_grad_()
        hooks = [layer.register_forward_hook(lambda *_: calls.append(1)) for layer in [mixer.x_proj] * hooked]
        y = mixer(x)
        parameters = [x, *mixer.parameters()]
        grads = torch.autograd.grad(y.square().sum(), parameters)
        results.append([y.detach(), *grads])
        for hook in hooks:
            hook.remove()
    assert len(calls) == 1
    for fused, parts in zip(*results, strict=True):
        assert relative_error(fused, parts) <= 2e-6


def test_what_does_not_fit_is_named(model: MambaLanguageModel) -> None:
    with pytest.raises(ShapeError, match=r"embeddings must be \[b s 128\], not \[1, 4, 64\]"):
        model(sequence(torch.zeros(1, 4, 64)))
    with pytest.raises(ShapeError, match=r"the layout is \[1, 4\], but the embeddings \[1, 5, 128\]"):
        model(FusedSequence(embeddings(1, 5), sequence(embeddings(1, 4)).layout))
    with pytest.raises(ShapeError, match="the state has 3 rows, but the embeddings 2"):
        model(sequence(embeddings(2, 4)), fresh(model, 3))


@pytest.mark.parametrize("tiny", [MambaTinyConfig, MambaTwoTinyConfig])
def test_bfloat16_keeps_time_steps_and_states_in_float32(tiny: type[MambaTinyConfig | MambaTwoTinyConfig]) -> None:
    config = tiny(vocab_size=64)
    exact = build(config)
    half = build(config).to(torch.bfloat16)
    x = embeddings(1, 200)
    expected = exact(sequence(x))
    state = half.new_state(1, 0, device=torch.device("cpu"), dtype=torch.bfloat16)
    ours = half(sequence(x.bfloat16()), state)
    assert ours.dtype == torch.bfloat16
    assert relative_error(ours, expected) <= 2e-2
    assert state.tensors["ssm.0"].dtype == torch.float32
    stepped = half.step(x[:, 0].bfloat16(), state)
    assert stepped.dtype == torch.bfloat16
    assert stepped.isfinite().all()


@pytest.mark.parametrize(
    ("tiny", "kept"),
    [
        (MambaTinyConfig, {"A_log", "D", "dt_proj.weight", "dt_proj.bias"}),
        (MambaTwoTinyConfig, {"A_log", "D", "dt_bias"}),
    ],
)
def test_half_precision_weights_keep_what_the_state_rests_on(
    tiny: type[MambaTinyConfig | MambaTwoTinyConfig], kept: set[str]
) -> None:
    config, x = tiny(vocab_size=64), embeddings(1, 20)
    exact, half = build(config), build(config)
    place(half, torch.device("cpu"), torch.bfloat16)
    wide = {name.split("mixer.")[-1] for name, p in half.named_parameters() if p.dtype == torch.float32}
    assert wide == kept
    assert relative_error(half(sequence(x.bfloat16())), exact(sequence(x))) <= 2e-2


def test_autocast_trains(model: MambaLanguageModel) -> None:
    x = embeddings(1, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = model(sequence(x))
    ours.float().sum().backward()
    assert relative_error(ours, model(sequence(x))) <= 2e-2
    assert all(p.grad is not None and p.grad.isfinite().all() for n, p in model.named_parameters() if "layers" in n)
    model.zero_grad()


@pytest.mark.parametrize("state_init", ["standard", "strong"])
def test_reset_fills_everything_and_depends_on_the_seed_only(state_init: str) -> None:
    config = MambaConfig(d_model=32, n_layer=2, vocab_size=50, state_init=state_init, **SMALL)
    model = build(config)
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(math.nan)
    torch.manual_seed(77)
    model.reset_parameters(torch.Generator().manual_seed(0))
    assert all(torch.equal(tensor, first[name]) for name, tensor in model.state_dict().items())
    model.reset_parameters(torch.Generator().manual_seed(1))
    assert not torch.equal(model.backbone.embedding.weight, first["backbone.embedding.weight"])
    model.reset_parameters()
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_standard_start_is_that_of_state_spaces() -> None:
    model = build(MambaConfig(d_model=256, n_layer=4, vocab_size=512, **SMALL))
    state = model.state_dict()
    name = "backbone.layers.2.mixer."
    assert torch.allclose(state[name + "A_log"].exp(), torch.arange(1.0, 17).expand(512, 16))
    assert (state[name + "D"] == 1).all()
    dt = torch.nn.functional.softplus(state[name + "dt_proj.bias"])
    assert dt.min() >= 1e-3 * 0.999
    assert dt.max() <= 1e-1 * 1.001
    assert dt.log().mean() == pytest.approx(math.log(1e-2), abs=0.3)  # log-uniform
    for weight, bound in {
        "in_proj.weight": 256**-0.5,
        "conv1d.weight": 0.5,
        "conv1d.bias": 0.5,
        "x_proj.weight": 512**-0.5,
        "dt_proj.weight": 16**-0.5,
        "out_proj.weight": 512**-0.5 / 2,  # divided by sqrt(n_layer)
    }.items():
        assert 0.98 * bound <= state[name + weight].abs().max() <= bound, weight
        assert state[name + weight].std() == pytest.approx(bound / 3**0.5, rel=0.05), weight
    assert state["backbone.embedding.weight"].std() == pytest.approx(0.02, rel=0.02)


def test_strong_start_changes_the_state_path_only() -> None:
    shape = {"d_model": 32, "n_layer": 1, "vocab_size": 50, **SMALL}
    standard = build(MambaConfig(**shape)).state_dict()
    strong = build(MambaConfig(**shape, state_init="strong")).state_dict()
    mixer = "backbone.layers.0.mixer."
    changed = {name for name, tensor in strong.items() if not torch.equal(tensor, standard[name])}
    assert changed == {mixer + "x_proj.weight", mixer + "A_log", mixer + "dt_proj.bias"}
    x_proj, rank = mixer + "x_proj.weight", 2
    assert torch.equal(strong[x_proj][:rank], standard[x_proj][:rank])
    assert torch.equal(strong[x_proj][rank:], 8 * standard[x_proj][rank:])
    assert torch.allclose(strong[mixer + "A_log"].exp() * 16, standard[mixer + "A_log"].exp())
    softplus = torch.nn.functional.softplus
    assert torch.allclose(softplus(strong[mixer + "dt_proj.bias"]), 4 * softplus(standard[mixer + "dt_proj.bias"]))


def test_head_stays_tied() -> None:
    model = build(MambaTinyConfig(vocab_size=50))
    for moved in (model, model.double(), model.to(torch.float32)):
        assert moved.lm_head.weight is moved.backbone.embedding.weight
    assert len([n for n, _ in model.named_parameters() if n == "lm_head.weight"]) == 0
    assert "lm_head.weight" in model.state_dict()


def test_tiny_has_the_count_the_readme_says() -> None:
    model = build(MambaTinyConfig())
    total = sum(p.numel() for p in model.parameters())
    assert total - model.backbone.embedding.weight.numel() == 233_344
    assert "233,344" in Path(plugin.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_mamba2_tiny_has_the_count_the_plugin_says() -> None:
    model = build(MambaTwoTinyConfig())
    total = sum(p.numel() for p in model.parameters())
    assert total - model.backbone.embedding.weight.numel() == 219_184
    assert "219,184" in Path(plugin.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_tiny_has_the_small_tokenizer() -> None:
    codec = MambaBackbone.text_codec(MambaTinyConfig())
    assert 0 <= build(MambaTinyConfig()).vocab_size - codec.tokenizer.vocab_size < 8
    assert codec.tokenizer.decode(codec.tokenizer.encode("Yes")) == "Yes"


def test_kernels_of_mamba2(mamba2: Mamba2Backbone) -> None:
    reports = mamba2.kernels()
    assert [r.layer.rpartition("mixer ")[2] for r in reports[:3]] == ["state space", "convolution", "step"]
    assert len(reports) == 6
    assert reports[0].kernel == "chunked PyTorch"


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (configs.Mamba130mConfig, 129_135_360),
        (configs.Mamba370mConfig, 371_516_416),
        (configs.Mamba790mConfig, 793_204_224),
        (configs.Mamba1400mConfig, 1_372_178_432),
        (configs.Mamba2800mConfig, 2_768_345_600),
        (configs.Mamba2800mZephyrConfig, 2_768_345_600),
        (configs.Mamba7bConfig, 6_946_557_952),
    ],
)
def test_full_sizes_on_meta(config: type[MambaConfig], parameters: int) -> None:
    with torch.device("meta"):
        model = MambaBackbone(config())
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert all(p.is_meta for p in model.parameters())


MAMBA2_FULL = [
    mamba2_configs.MambaTwo130mConfig,
    mamba2_configs.MambaTwo370mConfig,
    mamba2_configs.MambaTwo780mConfig,
    mamba2_configs.MambaTwo1300mConfig,
    mamba2_configs.MambaTwo2700mConfig,
]


@pytest.mark.parametrize("config", MAMBA2_FULL, ids=lambda c: c.__name__)
def test_mamba2_at_full_size_has_as_many_parameters_as_transformers(config: type[MambaTwoConfig]) -> None:
    with torch.device("meta"):
        ours = Mamba2Backbone(config())
        other = theirs_mamba2(ours)
    other.tie_weights()
    counts = [sum(p.numel() for p in model.parameters()) for model in (ours, other)]
    assert counts[0] == counts[1]
    readme = Path(plugin.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert f"{counts[0]:,}" in readme


def test_mamba2_starts_as_state_spaces_does() -> None:
    state = build(MambaTwoConfig(d_model=256, n_layer=4, vocab_size=512, head_dim=2, **SMALL)).state_dict()
    name = "backbone.layers.2.mixer."
    rate = state[name + "A_log"].exp()
    assert 1 <= rate.min() < 2 < 15 < rate.max() <= 16.0001
    assert (state[name + "D"] == 1).all()
    assert (state[name + "norm.weight"] == 1).all()
    dt = torch.nn.functional.softplus(state[name + "dt_bias"])
    assert 1e-3 * 0.999 <= dt.min() < dt.max() <= 1e-1 * 1.001
    assert dt.log().mean() == pytest.approx(math.log(1e-2), abs=0.3)  # log-uniform
    bound = 512**-0.5 / 2  # divided by sqrt(n_layer)
    assert 0.98 * bound <= state[name + "out_proj.weight"].abs().max() <= bound


def test_mamba2_time_steps_stay_exact_under_half_precision(mamba2: Mamba2Backbone) -> None:
    mixer, x = mamba2.backbone.layers[0].mixer, embeddings(1, 6)
    _, _, exact = mixer._project(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z, _, dt = mixer._project(x)
    assert z.dtype == torch.bfloat16
    assert dt.dtype == torch.float32
    torch.testing.assert_close(dt, exact)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head_dim": 60}, "head_dim 60 does not divide expand x d_model = 128"),
        ({"n_groups": 3, "head_dim": 32}, "n_groups 3 does not divide the 4 heads"),
    ],
)
def test_heads_that_do_not_fit(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MambaTwoConfig(d_model=64, n_layer=1, **values)


def test_names_are_those_of_state_spaces() -> None:
    mixer = ["A_log", "D", "in_proj.weight", "conv1d.weight", "conv1d.bias", "x_proj.weight", "dt_proj.weight"]
    mixer += ["dt_proj.bias", "out_proj.weight"]
    names = {f"backbone.layers.{i}.mixer.{name}" for i in range(2) for name in mixer}
    names |= {f"backbone.layers.{i}.norm.weight" for i in range(2)}
    names |= {"backbone.embedding.weight", "backbone.norm_f.weight", "lm_head.weight"}
    assert set(build(MambaTinyConfig(vocab_size=50)).state_dict()) == names


def test_names_of_mamba2_are_those_of_state_spaces() -> None:
    mixer = ["dt_bias", "A_log", "D", "in_proj.weight", "conv1d.weight", "conv1d.bias", "norm.weight"]
    names = {f"backbone.layers.{i}.mixer.{name}" for i in range(2) for name in [*mixer, "out_proj.weight"]}
    names |= {f"backbone.layers.{i}.norm.weight" for i in range(2)}
    names |= {"backbone.embedding.weight", "backbone.norm_f.weight", "lm_head.weight"}
    assert set(build(MambaTwoTinyConfig(vocab_size=50)).state_dict()) == names


def test_specs() -> None:
    specs = {spec.name: spec for spec in plugin.cobra_backbones()}
    tiny = ["tiny", "tiny-base", "tiny-chat"]
    mamba1 = ["130m", "370m", "790m", "1.4b", "2.8b", "2.8b-slimpj", "2.8b-zephyr", "7b"]
    mamba2 = ["mamba2-tiny", "mamba2-130m", "mamba2-370m", "mamba2-780m", "mamba2-1.3b", "mamba2-2.7b"]
    assert list(specs) == tiny + mamba1 + mamba2
    assert all(spec.unfinished is None for spec in specs.values())


def test_declaring_loads_no_torch() -> None:
    code = """
import importlib, sys
from cobra_kit_mamba import plugin
for spec in plugin.cobra_backbones():
    module, name = spec.config.split(":")
    config = getattr(importlib.import_module(module), name)
    assert all(field.description for field in config.model_fields.values()), config
    config(), config.tiny()
    config.model_json_schema()
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_kernels_say_what_and_why(mamba1: MambaBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "chunked")
    reports = mamba1.kernels()
    assert [r.layer for r in reports[:3]] == [
        "backbone.layers.0.mixer scan",
        "backbone.layers.0.mixer convolution",
        "backbone.layers.0.mixer step",
    ]
    assert len(reports) == 6
    assert (reports[0].kernel, reports[0].reason) == ("chunked PyTorch", "COBRA_KIT_MAMBA_KERNEL=chunked")
    assert reports[0].remedy == "unset COBRA_KIT_MAMBA_KERNEL"
    monkeypatch.delenv("COBRA_KIT_MAMBA_KERNEL")
    odd = MambaConfig(d_model=6, n_layer=1, d_state=65, vocab_size=8, **SMALL)
    assert build(odd).kernels()[0].reason == "d_state 65 is over 64"
    assert build(odd).double().kernels()[1].reason == "the computation is in float64"
    with torch.device("meta"):
        assert "on meta" in MambaBackbone(odd).kernels()[0].reason


@pytest.mark.skipif(load_native().library is None, reason=f"no C kernels here: {load_native().reason}")
def test_kernels_name_the_compiler(mamba1: MambaBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COBRA_KIT_MAMBA_KERNEL", raising=False)
    scan, conv, step = mamba1.kernels()[:3]
    assert (scan.kernel, conv.kernel, step.kernel) == ("C", "C", "C")
    assert scan.reason.startswith("compiled by ")
    assert scan.remedy == load_native().remedy  # one where the suite is held to an instruction set
