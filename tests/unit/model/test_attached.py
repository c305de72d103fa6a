"""Hooks, adapters and wrappers run in the prefill and in every step, on every backbone alike."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.testing import assert_close

from cobra_kit.errors import KernelError
from cobra_kit.interfaces import FusedSequence, LayoutBatch
from cobra_kit.model import compose
from cobra_kit.model.decoding import DecodeSession, Precision, first_token_probabilities, generate_ids
from cobra_kit.model.prompts import prompt_batches
from cobra_kit.model.quantise import quantise_int8_

BACKBONES = {
    "mamba": "{use: mamba/tiny, d_model: 32, n_layer: 2, d_state: 4}",
    "mamba2": "{use: mamba/mamba2-tiny}",
    "gpt": "{use: transformer/tiny}",
    "hf": "{use: transformer/hf, settings: {model_type: llama, hidden_size: 32, num_hidden_layers: 2, "
    "num_attention_heads: 2, intermediate_size: 48, vocab_size: 960}, tokenizer: small, weights: none}",
}
RECIPE = """
title: Attached
seed: 5
model:
  vision_encoder: {use: siglip/tiny, weights: none, width: 24, depth: 2, heads: 2}
  projector: {use: mlp/linear}
  fusion: {use: fusion/image-first}
  backbone: BACKBONE
"""
TOKENS = 5


@pytest.fixture(scope="module", params=BACKBONES)
def composed(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(RECIPE.replace("BACKBONE", BACKBONES[request.param]))
    model = compose(path).eval()
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


@pytest.fixture
def model(composed):
    return copy.deepcopy(composed)


def asked(model):
    image = Image.linear_gradient("L").convert("RGB")
    (batch,) = prompt_batches(model.processor, [image, None], ["What is this?", "Who?"], 2)
    return batch


def answers(model, batch, **options) -> list[list[int]]:
    return generate_ids(model, batch, max_new_tokens=TOKENS, stop_ids=[], **options)


def called(model) -> dict[str, nn.Module]:
    return {name: each for name, each in model.backbone.named_modules() if type(each).forward is not nn.Module.forward}


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_every_module_s_hook_runs_once_per_token(model, register):
    batch, calls = asked(model), Counter()
    before = answers(model, batch)
    handles = [
        getattr(module, register)(lambda *_, name=name: calls.update([name])) for name, module in called(model).items()
    ]
    assert answers(model, batch) == before
    assert calls == dict.fromkeys(called(model), TOKENS)
    for handle in handles:
        handle.remove()
    assert answers(model, batch) == before
    assert set(calls.values()) == {TOKENS}


def test_a_hook_on_all_modules_runs_in_every_step(model):
    batch, calls = asked(model), Counter()
    handle = register_module_forward_hook(lambda module, *_: calls.update([id(module)]))
    try:
        answers(model, batch)
    finally:
        handle.remove()
    assert {calls[id(module)] for module in called(model).values()} == {TOKENS}


def test_hooks_run_where_prompts_are_read_token_by_token(model):
    batch, calls = asked(model), []
    model.backbone.blocks()[1].register_forward_hook(lambda *_: calls.append(1))
    answers(model, batch, precision=Precision(state=torch.float16))
    assert len(calls) == max(batch.layout.lengths) + TOKENS - 1


def test_first_token_probabilities_pass_no_hook_by(model):
    batch, calls = asked(model), Counter()
    for name, module in called(model).items():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    first_token_probabilities(model, batch, ["a", "b"])
    assert calls == dict.fromkeys(called(model), 1)


def steer(vector: Tensor):
    def hook(module, inputs, output):
        return (output[0], output[1] + vector) if isinstance(output, tuple) else output + vector

    return hook


def test_a_steering_vector_acts_in_every_step_as_in_a_full_pass(model):
    """Decoding with a hook equals re-reading the whole row with it, token by token."""
    (batch,) = prompt_batches(model.processor, None, "Who?", 1)
    before = answers(model, batch)
    vector = torch.randn(model.backbone.hidden_size, generator=torch.Generator().manual_seed(3)) * 3
    model.backbone.blocks()[0].register_forward_hook(steer(vector))
    steered = answers(model, batch)
    assert steered != before
    embeddings = model.fuse(batch).embeddings
    for token in steered[0]:
        hidden = model.read(FusedSequence(embeddings, whole_rows(1, embeddings.shape[1])))[:, -1]
        assert int(model.backbone.logits(hidden)[:, : model.processor.codec.tokenizer.vocab_size].argmax(-1)) == token
        embeddings = torch.cat([embeddings, model.backbone.embed(torch.tensor([token]))[:, None]], 1)


def whole_rows(rows: int, length: int, after: Tensor | None = None) -> LayoutBatch:
    """Returns a layout of rows without padding that stand behind `after` tokens each."""
    return LayoutBatch(
        source=torch.zeros(rows, length, dtype=torch.int64),
        segment_ids=torch.ones(rows, length, dtype=torch.int32),
        positions=torch.arange(length).expand(rows, -1) + (0 if after is None else after[:, None].long()),
        labels=None,
        cu_seqlens=torch.arange(rows + 1, dtype=torch.int32) * length,
        lengths=(length,) * rows,
    )


class Adapted(nn.Module):
    """Stands for an adapter: the module and something beside it. It has the attributes of what it wraps."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    @property
    def weight(self):
        return self.inner.weight

    @property
    def bias(self):
        return self.inner.bias

    def forward(self, *inputs):
        output = self.inner(*inputs)
        return tuple(1.5 * each for each in output) if isinstance(output, tuple) else 1.5 * output


def leaves(model) -> list[str]:
    return [name for name, module in called(model).items() if name and not list(module.children())]


def test_an_adapter_around_any_leaf_acts_in_training_prefill_and_steps(composed):
    batch = asked(composed)
    row = composed.processor.row([("What?", "This and that")], [])
    supervised = composed.processor.collate([row, composed.processor.row([("Who?", "We")], [])])
    packed = composed.processor.collate([row, row], pack=[[0, 1]])
    loss = composed(supervised).detach()
    seen = 0
    for name in leaves(composed):
        model = copy.deepcopy(composed)
        owner, _, leaf = name.rpartition(".")
        setattr(model.backbone.get_submodule(owner), leaf, Adapted(model.backbone.get_submodule(name)))
        if "rotary" in name or "act" in name.split(".")[-1] or "dropout" in name:
            continue
        assert not torch.equal(model(supervised).detach(), loss), name
        assert_close(model(packed), model(composed.processor.collate([row])), msg=f"{name}: packed")
        session = DecodeSession(model, batch, max_new_tokens=TOKENS)
        assert "Adapted, which was put in after" in session.attached, name
        assert_close(*two_ways(model, batch), rtol=1e-3, atol=1e-4, msg=name)
        seen += 1
    assert seen >= 6


def two_ways(model, batch) -> tuple[Tensor, Tensor]:
    """Returns hidden states of the same three tokens behind the prompts: step by step, and read at once."""
    sequence = model.fuse(batch)
    more = model.backbone.embed(torch.tensor([5, 6, 7, 8, 9, 10])).view(2, 3, -1)
    states = [model.backbone.new_state(2, 80, device=model.device, dtype=more.dtype) for _ in range(2)]
    with torch.no_grad():
        for state in states:
            state.used = 0
            model.backbone(sequence, state)
        longest = max(batch.layout.lengths)
        stepped = []
        for i in range(3):
            states[0].used = longest + i
            stepped.append(model.backbone.step(more[:, i], states[0]))
        states[1].used = longest
        layout = whole_rows(2, 3, states[1].lengths)
        return torch.stack(stepped, 1), model.backbone(FusedSequence(more, layout), states[1])


def test_a_parametrization_and_a_patched_forward_act(model):
    batch = asked(model)
    before = answers(model, batch)

    class Larger(nn.Module):
        def forward(self, weight):
            return -50 * weight

    changed = copy.deepcopy(model)
    linear = next(each for each in changed.backbone.modules() if type(each) is nn.Linear)
    nn.utils.parametrize.register_parametrization(linear, "weight", Larger())
    assert "was put in after" in DecodeSession(changed, batch, max_new_tokens=1).attached
    assert answers(changed, batch) != before
    block = model.backbone.blocks()[0]
    calls, forward = [], block.forward
    block.forward = lambda *inputs, **named: calls.append(1) or forward(*inputs, **named)
    assert answers(model, batch) == before
    assert len(calls) == TOKENS


def test_a_hook_that_would_never_run_is_refused(model):
    name, module = next(
        (name, each) for name, each in model.backbone.named_modules() if isinstance(each, nn.ModuleList)
    )
    module.register_forward_hook(lambda *_: None)
    with pytest.raises(KernelError, match=rf"the hook on backbone\.{name} would never run: ModuleList only holds"):
        model.generate(None, "What?", max_new_tokens=2)


class Recorder:
    """Records nothing: repeats the step."""

    def unavailable(self, device):
        return None

    def capture(self, step, device):
        return step


def test_a_graph_is_not_used_where_something_is_attached(model):
    batch = asked(model)
    assert DecodeSession(model, batch, max_new_tokens=3, recorder=Recorder()).uses_graph
    handle = model.backbone.blocks()[0].register_forward_hook(lambda *_: None)
    session = DecodeSession(model, batch, max_new_tokens=3, recorder=Recorder())
    assert not session.uses_graph
    assert session.graph_reason.endswith("has a forward hook")
    with pytest.raises(KernelError, match=r"steps cannot run as a graph: backbone.* has a forward hook"):
        DecodeSession(model, batch, max_new_tokens=3, recorder=Recorder(), graphs="always")
    handle.remove()
    assert DecodeSession(model, batch, max_new_tokens=3, recorder=Recorder()).uses_graph


def test_int8_layers_are_ours_and_keep_the_graph(model):
    quantise_int8_(model)
    assert DecodeSession(model, asked(model), max_new_tokens=3, recorder=Recorder()).attached is None
