"""int8 weights: near the original, a quarter of the bytes, what must keep its precision kept, training refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from cobra_kit.errors import TrainingError, WeightsError
from cobra_kit.interfaces import Backbone
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.model.quantise import Int8Linear, quantise_int8_

RECIPE = """
title: int8
seed: 3
model:
  vision_encoder: {{use: siglip/tiny, weights: none, width: 24, depth: 2, heads: 2}}
  projector: {{use: mlp/linear}}
  fusion: {{use: fusion/image-first}}
  backbone: {{{backbone}}}
"""
BACKBONES = {
    "mamba": "use: mamba/tiny, d_model: 32, n_layer: 2, d_state: 4",
    "mamba2": "use: mamba/mamba2-tiny",
    "transformer": "use: transformer/tiny, hidden_size: 32, initializer_range: 0.15",
    "untied": "use: transformer/tiny, hidden_size: 32, initializer_range: 0.15, tie_embeddings: false",
}


def build(tmp_path: Path, name: str) -> VisionLanguageModel:
    path = tmp_path / "int8.yaml"
    path.write_text(RECIPE.format(backbone=BACKBONES[name]))
    return compose(path).eval()


@pytest.mark.parametrize("rows", [1, 4, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_a_layer_is_its_rounded_weights(rows: int, dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 48, bias=bias)
    linear.weight[3] = 0.0
    layer = Int8Linear(linear)
    step = linear.weight.abs().amax(1, keepdim=True) / 127
    assert ((layer.weight - linear.weight).abs() <= step / 2 + 1e-7).all()
    assert layer.codes.abs().max() == 127
    hidden = torch.randn(2, rows, 64).to(dtype)
    expected = nn.functional.linear(hidden.float(), layer.weight, linear.bias)
    got = layer(hidden)
    assert got.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(got.float(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", ["mamba", "mamba2", "transformer", "untied"])
@torch.no_grad()
def test_a_backbone_answers_nearly_the_same_from_less_memory(tmp_path: Path, name: str) -> None:
    model = build(tmp_path, name)
    exact = copy.deepcopy(model.backbone)
    done = quantise_int8_(model)
    assert done.layers == sum(isinstance(m, Int8Linear) for m in model.modules()) > 0
    small = sum(m.codes.numel() for m in model.modules() if isinstance(m, Int8Linear))
    scales = sum(m.scales.numel() for m in model.modules() if isinstance(m, Int8Linear))
    assert done.bytes_before - done.bytes_after == small * 3 - scales * 4
    logits = [_logits(backbone) for backbone in (exact, model.backbone)]
    scale = float(logits[0].std())
    error = float((logits[0] - logits[1]).abs().max())
    assert 0 < error < 0.2 * scale, "close, and not the same"
    assert quantise_int8_(model).layers == 0


def _logits(backbone: Backbone) -> torch.Tensor:
    state = backbone.new_state(2, 8, device=torch.device("cpu"), dtype=torch.float32)
    hidden = [backbone.step(backbone.embed(torch.tensor([i + 5, 3 * i + 40])), state) for i in range(6)]
    return backbone.logits(torch.stack(hidden, 1))


def test_what_must_keep_its_precision_keeps_it(tmp_path: Path) -> None:
    model = build(tmp_path, "mamba")
    tensors = {name: tensor.clone() for name, tensor in model.backbone.named_parameters()}
    done = quantise_int8_(model.backbone)
    kept = dict(model.backbone.named_parameters())
    endings = ("A_log", ".D", "dt_proj.weight", "dt_proj.bias", "conv1d.weight", "norm.weight", "embedding.weight")
    for name, tensor in tensors.items():
        assert (name in kept) == name.endswith((*endings, "bias", "norm_f.weight")), name
        if name in kept:
            assert torch.equal(kept[name], tensor)
    assert [name.rpartition(".")[2] for name in done.kept] == ["lm_head", "dt_proj", "dt_proj"]


def test_a_head_of_its_own_is_quantised_and_a_tied_one_is_not(tmp_path: Path) -> None:
    model = build(tmp_path, "untied")
    quantise_int8_(model)
    assert isinstance(model.backbone.head, Int8Linear)
    assert isinstance(model.backbone.get_submodule("gpt_neox.embed_in"), nn.Embedding)
    mamba = build(tmp_path, "mamba")
    quantise_int8_(mamba)
    mamba.backbone.to(torch.bfloat16)
    assert mamba.backbone.lm_head.weight is mamba.backbone.backbone.embedding.weight


@pytest.mark.parametrize("name", ["mamba", "mamba2", "transformer"])
def test_quantised_models_generate_in_both_types(tmp_path: Path, name: str) -> None:
    model = build(tmp_path, name)
    quantise_int8_(model)
    assert isinstance(model.generate(None, ["What is it?"] * 2, max_new_tokens=4), list)
    model.to(torch.bfloat16)
    assert isinstance(model.generate(None, "What is it?", max_new_tokens=4), str)


def test_training_saving_and_loading_are_refused(tmp_path: Path) -> None:
    model = build(tmp_path, "mamba")
    state = model.state_dict()
    quantise_int8_(model)
    processor = model.processor
    batch = processor.collate([processor.row([("What?", "A cat")], [], for_generation=False)], for_generation=False)
    with pytest.raises(TrainingError, match="int8 weights cannot be trained, nor trained through"):
        model(batch)
    with pytest.raises(WeightsError, match="int8 weights are not saved") as caught:
        model.save_pretrained(tmp_path / "saved")
    assert "before quantise_int8_" in str(caught.value)
    assert not (tmp_path / "saved" / "model.safetensors").exists()
    with pytest.raises(WeightsError, match="weights cannot be loaded into int8 layers"):
        model.load_state_dict(state)


def test_weights_that_no_scale_fits(tmp_path: Path) -> None:
    model = build(tmp_path, "mamba")
    with torch.no_grad():
        model.backbone.blocks()[1].mixer.in_proj.weight[0, 0] = torch.nan
    with pytest.raises(WeightsError, match=r"backbone\.layers\.1\.mixer\.in_proj\.weight holds NaN or infinity"):
        quantise_int8_(model)
    assert not any(isinstance(m, Int8Linear) for m in model.modules()), "all or nothing"
    with pytest.raises(WeightsError, match=r"weight has no values yet"):
        quantise_int8_(model.backbone.to("meta"))
