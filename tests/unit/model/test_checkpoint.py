"""A saved model comes back as it was; damage and mix-ups are named."""

from __future__ import annotations

import json

import pytest
import torch

from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.weights import load_metadata


def test_round_trip(model, image, tmp_path):
    with torch.no_grad():
        model.projector.linear.weight.add_(1.0)
    model.save_pretrained(tmp_path / "saved")
    loaded = VisionLanguageModel.from_pretrained(tmp_path / "saved")
    for (name, a), b in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert loaded.generate(image(1), "What?") == model.generate(image(1), "What?")
    lock = json.loads((tmp_path / "saved" / "lock.json").read_text())
    assert "toy-plugin/decay" in json.dumps(lock)


def test_saving_twice_into_one_folder_keeps_the_last(model, tmp_path):
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        model.backbone.mix.bias.fill_(2.0)
    model.save_pretrained(tmp_path)
    assert VisionLanguageModel.from_pretrained(tmp_path).backbone.mix.bias[0] == 2.0


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(WeightsError, match=r"is not a saved model: recipe.yaml and model.safetensors not found"):
        VisionLanguageModel.from_pretrained(tmp_path)


def test_weights_of_another_recipe(model, recipe, tmp_path):
    model.save_pretrained(tmp_path / "a")
    compose(recipe, overrides=["model.backbone.decay=0.25"]).save_pretrained(tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes((tmp_path / "a" / "model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match=r"was not written for the recipe.yaml beside it"):
        VisionLanguageModel.from_pretrained(tmp_path / "b")


def test_a_truncated_file(model, tmp_path):
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"model.safetensors"):
        VisionLanguageModel.from_pretrained(tmp_path)


def test_missing_and_extra_tensors_are_all_named(model, tmp_path):
    from safetensors.torch import load_file, save_file

    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    metadata = load_metadata(weights)  # without the digest, which would no longer be right
    tensors = load_file(weights)
    del tensors["projector.linear.bias"]
    tensors["projector.linear.scale"] = torch.ones(1)
    tensors["backbone.mix.bias"] = torch.ones(3)
    save_file(tensors, weights, metadata)
    with pytest.raises(WeightsError) as caught:
        VisionLanguageModel.from_pretrained(tmp_path)
    for name in ("projector.linear.bias", "projector.linear.scale", "backbone.mix.bias"):
        assert name in str(caught.value)


def test_a_model_built_by_hand_cannot_be_saved(model, tmp_path):
    model.recipe = None
    with pytest.raises(CobraError, match="has no recipe"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize("damage", ["flipped", "swapped"])
def test_weights_that_changed_after_they_were_saved(model, tmp_path, damage):
    model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    if damage == "flipped":
        weights.write_bytes(content[:-30] + bytes([content[-30] ^ 16]) + content[-29:])
    else:
        names = [b"projector.linear.weight", b"projector.linear.weighz"]
        weights.write_bytes(content.replace(*names))
    with pytest.raises(WeightsError, match=r"model\.safetensors: the checkpoint is .*damaged .*digest differs"):
        VisionLanguageModel.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    assert VisionLanguageModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"\0" * 99, b"\xff\xfe", b"a: [" * 10_000])
def test_a_recipe_that_is_damaged(model, tmp_path, content):
    model.save_pretrained(tmp_path)
    (tmp_path / "recipe.yaml").write_bytes(content)
    with pytest.raises(WeightsError, match=r"recipe\.yaml[\s\S]*Save the model again into an empty folder"):
        VisionLanguageModel.from_pretrained(tmp_path)
