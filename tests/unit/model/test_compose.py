"""Recipes become models: sizes, seeds, fits and misfits."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from cobra_kit.errors import CobraError, PluginError, ShapeError
from cobra_kit.model import compose


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_the_same_seed_gives_the_same_weights(recipe):
    first, second, other = compose(recipe), compose(recipe), compose(recipe, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(second).values(), strict=True))
    assert not torch.equal(first.projector.linear.weight, other.projector.linear.weight)


def test_a_projector_starts_alike_wherever_its_shape_is_alike(recipe):
    first = compose(recipe)
    decay = compose(recipe, overrides=["model.backbone.decay=0.9"])
    wider = compose(recipe, overrides=["model.vision_encoder.width=7"])
    assert torch.equal(first.projector.linear.weight, decay.projector.linear.weight)
    assert torch.equal(first.backbone.mix.weight, wider.backbone.mix.weight), "swapping a part touches no other"
    assert wider.projector.linear.in_features == 7


def test_torch_s_own_random_state_is_left_alone(recipe):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    compose(recipe)
    assert torch.equal(torch.rand(1), expected)


def test_meta_models_have_sizes_and_no_memory(recipe):
    model = compose(recipe, device="meta")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert model.image_tokens().grid == (8, 8)


def test_the_summary_counts_frozen_and_trainable(recipe):
    lines = compose(recipe).summary().splitlines()
    assert [line.split()[0] for line in lines] == ["vision", "projector", "fusion", "backbone", "total"]
    assert "toy-plugin/patches" in lines[0]
    assert "frozen" in lines[0]
    assert lines[1].split()[-2:] == ["trainable", "70"]


def test_a_misfit_names_both_parts(recipe):
    with pytest.raises(ShapeError) as caught:
        compose(recipe, overrides=["model.projector.max_tokens=5"])
    text = str(caught.value)
    assert "toy-plugin/linear does not fit toy-plugin/patches: 64 tokens are more than max_tokens 5" in text


def test_a_part_that_raises_names_its_plugin(recipe, monkeypatch):
    part = compose(recipe, device="meta").recipe.parts["backbone"]
    target = part.component.load_class()

    def fail(self, config):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(target, "__init__", fail)
    with pytest.raises(
        PluginError, match=r"backbone 'toy-plugin/decay' \(.*\) failed in ToyBackbone.__init__: ZeroDivisionError: boom"
    ):
        compose(recipe)


def test_an_unknown_arm_lists_the_arms(recipe):
    with pytest.raises(CobraError, match="no arm named 'left'"):
        compose(recipe, arm="left")


def test_unknown_parts_cannot_be_trained(model):
    with pytest.raises(CobraError, match=r"no such part: head\n.*The parts are vision_encoder"):
        model.train_only({"head"})


def test_precision_of_a_dtype_spares_what_must_not_be_quantised(recipe, monkeypatch):
    target = compose(recipe, device="meta").recipe.parts["backbone"].component.load_class()
    monkeypatch.setattr(target, "never_quantise", ("bias",))
    model = compose(recipe, dtype=torch.bfloat16)
    assert model.backbone.mix.weight.dtype == torch.bfloat16
    assert model.backbone.mix.bias.dtype == torch.float32


def test_the_summary_tells_what_never_runs(recipe, monkeypatch):
    from cobra_kit.interfaces import VisionEncoder

    unused = {"last_block": 5, "pooling_head": 2, "nothing": 0}
    monkeypatch.setattr(VisionEncoder, "unused_parameters", lambda _: unused)
    model = compose(recipe)
    lines = [line.split() for line in model.summary().splitlines()]
    total = sum(p.numel() for p in model.parameters())
    assert lines[-3][-1] == f"{total:,}"
    assert lines[-2] == ["without", "pooling", "head", "of", "toy-plugin/patches", "never", "run", f"{total - 2:,}"]
    assert lines[-1] == ["without", "last", "block", "of", "toy-plugin/patches", "never", "run", f"{total - 7:,}"]


def test_shapes_draw_no_values_and_load_no_compiler() -> None:
    # In a process of its own: here something else has imported it already.
    code = (
        "import sys; from torch import nn; from cobra_kit.model.shapes import shapes_only\n"
        "with shapes_only(): parts = nn.Embedding(3, 2), nn.Linear(2, 2), nn.LSTM(2, 2)\n"
        "assert all(p.is_meta for part in parts for p in part.parameters())\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
