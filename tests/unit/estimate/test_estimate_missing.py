"""What is not on this machine, and what supplies it. No network: the hub's client only takes notes."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from cobra_kit.estimate.counting import count_model
from cobra_kit.estimate.missing import missing_benchmarks, missing_data, missing_weights
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe import load_recipe, resolve
from cobra_kit.weights import hub_folder, load_into, load_tensors


def test_data_files_that_are_not_there_come_with_their_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("cobra_3b", profile="paper")
    found = {one.what: one.remedies for one in missing_data(recipe)}
    rows = found["data.rows: data/cobra/finetune.json is not there"]
    assert any("llava_v1_5_mix665k.json" in line for line in rows)
    assert any("train2017.zip" in line for line in found["data.images: data/cobra/images is not there"])
    (tmp_path / "data/cobra/images").mkdir(parents=True)
    (tmp_path / "data/cobra/finetune.json").touch()
    assert missing_data(recipe) == []


def test_benchmarks_that_the_data_source_does_not_have_are_named() -> None:
    (found,) = missing_benchmarks(load_recipe("cobra_3b", profile="paper"))
    assert found.what.startswith("benchmarks: files of VQAv2, GQA, VizWiz, TextVQA, VSR, POPE; the data source llava")
    assert missing_benchmarks(load_recipe("cobra_3b")) == []


def test_drawn_data_need_no_file() -> None:
    assert missing_data(load_recipe("cobra_tiny")) == []


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> VisionLanguageModel:
    """A model whose projector wants two repositories and whose other parts want nothing."""
    resolved = resolve(load_recipe("cobra_tiny"))
    model, _ = count_model(resolved)
    object.__setattr__(resolved.parts["projector"].config, "weights", "hub")

    def load_pretrained() -> None:
        folders = [hub_folder(f"owner/{name}", patterns=["*.safetensors"], where="test") for name in ("one", "two")]
        load_into(model.projector, load_tensors(folders[0]), source="test")

    object.__setattr__(model.projector, "load_pretrained", load_pretrained)
    return model


def test_weights_from_the_hub_are_named_with_the_command(
    asking: VisionLanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    before = huggingface_hub.snapshot_download
    assert asking.recipe is not None
    found = {one.what: one.remedies for one in missing_weights(asking, asking.recipe)}
    assert found == {
        "weights of mlp/fused: owner/one": ("hf download owner/one --include '*.safetensors'",),
        "weights of mlp/fused: owner/two": ("hf download owner/two --include '*.safetensors'",),
    }
    assert huggingface_hub.snapshot_download is before


def test_a_weights_file_that_is_not_there() -> None:
    resolved = resolve(load_recipe("cobra_tiny", overrides=["model.backbone.weights=/nowhere/weights.safetensors"]))
    model, _ = count_model(resolved)
    (one,) = missing_weights(model, resolved)
    assert one.what == "weights of mamba/tiny: /nowhere/weights.safetensors is not there"
