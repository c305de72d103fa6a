"""Parts of strangers: other names, other projectors, a tokenizer of their own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import toy_plugin
from PIL import Image

import cobra_kit
from cobra_kit import _plugins
from cobra_kit.errors import WeightsError
from cobra_kit.exchange import export_model, import_checkpoint
from cobra_kit.exchange.huggingface.processor import CobraKitProcessor
from cobra_kit.model import compose

RECIPE = """
title: A stranger's
seed: 3
model:
  vision_encoder: {use: toy-plugin/patches}
  projector: {use: toy-plugin/linear}
  fusion: {use: toy-plugin/separator}
  backbone: {use: own-tokenizer/decay, tokenizer: TOKENIZER}
"""
PLUGIN = """
from pydantic import Field
from toy_plugin import ToyBackbone, ToyBackboneConfig
from cobra_kit.interfaces import TextCodec
from cobra_kit.plugin import BackboneSpec, hookimpl

class Config(ToyBackboneConfig):
    tokenizer: str = Field("small", description="a path")

class Decay(ToyBackbone):
    @classmethod
    def text_codec(cls, config):
        from cobra_kit.text.templates import BaseTemplate
        from cobra_kit.text.tokenizer import BpeTokenizer
        return TextCodec(BpeTokenizer.from_file(config.tokenizer), BaseTemplate(), 512)

@hookimpl
def cobra_backbones():
    return [BackboneSpec(name="decay", summary="x", target=f"{__name__}:Decay", config=f"{__name__}:Config")]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own_tokenizer.py").write_text(PLUGIN)
    (tmp_path / "their_tokenizer.json").write_text(files("cobra_kit.text").joinpath("small_tokenizer.json").read_text())
    _plugins.configure(files=[Path(toy_plugin.__file__), tmp_path / "own_tokenizer.py"])
    path = tmp_path / "theirs.yaml"
    path.write_text(RECIPE.replace("TOKENIZER", str(tmp_path / "their_tokenizer.json")))
    yield path
    _plugins.configure()


def moved(model):
    with torch.no_grad():
        model.projector.linear.weight.add_(1.0)
    return model


def test_an_exported_folder_brings_its_tokenizer(recipe, tmp_path):
    model = moved(compose(recipe))
    image = Image.effect_noise((16, 16), 90).convert("RGB")
    answer = model.generate(image, "What?", max_new_tokens=6)
    export_model(model, format="huggingface", out=tmp_path / "exported")
    (tmp_path / "their_tokenizer.json").unlink()
    loaded = cobra_kit.load(tmp_path / "exported")
    assert loaded.generate(image, "What?", max_new_tokens=6) == answer
    assert CobraKitProcessor.from_pretrained(tmp_path / "exported")(text="What?")["input_ids"].numel()
    assert loaded.recipe.to_yaml() == model.recipe.to_yaml(), "no path of the folder gets into the recipe"
    export_model(loaded, format="huggingface", out=tmp_path / "again")
    (tmp_path / "exported").rename(tmp_path / "elsewhere")
    assert cobra_kit.load(tmp_path / "again").generate(image, "What?", max_new_tokens=6) == answer


@pytest.mark.parametrize("form", ["prismatic", "llava", "projector"])
def test_a_projector_of_theirs_there_and_back(recipe, tmp_path, form):
    model = moved(compose(recipe))
    export_model(model, format=form, out=tmp_path / "theirs")
    import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours")
    assert torch.equal(cobra_kit.load(tmp_path / "ours").projector.linear.weight, model.projector.linear.weight)


def test_a_fusion_with_weights_has_no_place_in_the_authors_form(recipe, tmp_path):
    with pytest.raises(WeightsError, match="no place for toy-plugin/separator"):
        export_model(compose(recipe), format="cobra", out=tmp_path / "theirs")
