"""Mamba backbones inside whole models: a published one from the hub's cache, and Mamba-2."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from fake_hub import fill_cache, use_cache
from mamba_checks import build
from PIL import Image

import cobra_kit
from cobra_kit.errors import TextError, WeightsError
from cobra_kit.text.tokenizer import SMALL_TOKENIZER_FILE
from cobra_kit_mamba.config import MambaConfig

SMALL_TOKENIZER = Path(str(files("cobra_kit.text").joinpath(SMALL_TOKENIZER_FILE)))
RECIPE = """
model:
  vision_encoder: {{use: siglip/tiny}}
  projector: {{use: mlp/gelu}}
  fusion: {{use: fusion/image-first}}
  backbone: {backbone}
"""
ZEPHYR = "{use: mamba/2.8b-zephyr, d_model: 32, n_layer: 2, vocab_size: 1000}"


def recipe(folder: Path, backbone: str) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(RECIPE.format(backbone=backbone))
    return file


def image() -> Image.Image:
    return Image.new("RGB", (64, 64), (200, 30, 40))


def published_zephyr() -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Returns the weights and the config.json of a small model in the form of xiuyul/mamba-2.8b-zephyr."""
    model = build(MambaConfig(d_model=32, n_layer=2, vocab_size=1000, tokenizer="small", weights="none"), seed=9)
    config = {"d_model": 32, "n_layer": 2, "vocab_size": 1000, "ssm_cfg": {}, "pad_vocab_size_multiple": 8}
    return {name: t.bfloat16() for name, t in model.state_dict().items()}, config


def test_a_published_model_comes_from_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache(monkeypatch, tmp_path / "cache")
    weights, config = published_zephyr()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    parts = {"config.json": json.dumps(config).encode(), "pytorch_model.bin": tmp_path / "pytorch_model.bin"}
    fill_cache(tmp_path / "cache", "xiuyul/mamba-2.8b-zephyr", parts)
    fill_cache(tmp_path / "cache", "EleutherAI/gpt-neox-20b", {"tokenizer.json": SMALL_TOKENIZER})
    model = cobra_kit.compose(recipe(tmp_path, ZEPHYR))
    loaded = model.backbone.state_dict()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in weights.items())
    assert isinstance(model.generate(image(), "What colour is it?", max_new_tokens=4), str)
    assert "<|assistant|>" in model.processor.codec.template.render([("Q", None)], for_generation=True)[0].text


def test_what_the_hubs_cache_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache(monkeypatch, tmp_path / "cache")
    with pytest.raises(WeightsError, match=r"wanted config\.json, pytorch_model\.bin of the hub repository xiuyul"):
        cobra_kit.compose(recipe(tmp_path, ZEPHYR))
    without = ZEPHYR.replace("}", ", weights: none}")
    with pytest.raises(TextError, match=r"no tokenizer: wanted tokenizer\.json(.|\n)*tokenizer: PATH"):
        cobra_kit.compose(recipe(tmp_path, without))


def test_mamba2_generates_batched_as_alone(tmp_path: Path) -> None:
    model = cobra_kit.compose(recipe(tmp_path, "{use: mamba/mamba2-tiny}"))
    questions = ["What colour is the circle on the left?", "How many?"]
    together = model.generate([image(), image()], questions, max_new_tokens=6)
    alone = [model.generate([image()], [question], max_new_tokens=6)[0] for question in questions]
    assert together == alone
    assert any(together)
