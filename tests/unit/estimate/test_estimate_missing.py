"""What is not on this machine, and what supplies it. No network: the hub's client only takes notes."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from cobra_kit.errors import WeightsError
from cobra_kit.estimate.counting import count_model
from cobra_kit.estimate.missing import missing_benchmarks, missing_weights
from cobra_kit.estimate.missing_data import missing_data
from cobra_kit.interfaces import PretrainedFile
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe import load_recipe, resolve
from cobra_kit.weights import hub_file
from cobra_kit.weights.hub import HubRequest, noted_requests


def test_data_files_that_are_not_there_come_with_their_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("cobra_3b", profile="paper")
    remedies = {thing.what: thing.remedies for thing in missing_data(recipe)}
    listed = "data/cobra/llava_v1_5_mix665k.json, data/cobra/lvis_rows.jsonl, data/cobra/lrv_rows.jsonl are not there"
    rows = remedies[f"data.rows: {listed}"]
    assert "cobra-kit data prepare lrv-instruct --root DIR" in rows
    assert any("llava_v1_5_mix665k.json" in line for line in rows)
    assert any("train2017.zip" in line for line in remedies["data.images: data/cobra/images is not there"])
    (tmp_path / "data/cobra/images").mkdir(parents=True)
    for name in ("llava_v1_5_mix665k.json", "lvis_rows.jsonl", "lrv_rows.jsonl"):
        (tmp_path / "data/cobra" / name).touch()
    assert missing_data(recipe) == []


def test_benchmarks_that_the_data_source_does_not_have_are_named() -> None:
    alone = load_recipe("cobra_3b", profile="paper", overrides=["evaluate.benchmarks=null"])
    (lacking,) = missing_benchmarks(alone)
    assert lacking.what.startswith("benchmarks: files of VQAv2, GQA, VizWiz, TextVQA, VSR, POPE; the data source llava")
    assert missing_benchmarks(load_recipe("cobra_3b")) == []


def test_files_of_benchmarks_that_are_not_there_are_named_by_benchmark_and_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lacking = missing_benchmarks(load_recipe("cobra_3b", profile="paper"))
    names = [thing.what.split(":")[0].removeprefix("benchmark ") for thing in lacking]
    assert names == [*["vqav2", "gqa", "vizwiz", "textvqa", "vsr", "pope", "refcoco", "refcoco-plus", "refcocog"]]
    assert "questions data/cobra/benchmarks/vqav2/v2_OpenEnded_mscoco_val2014_questions.json" in lacking[0].what
    assert "images data/cobra/benchmarks/vqav2/val2014" in lacking[0].what
    commands = [thing.remedies for thing in lacking]
    assert commands == [(f"cobra-kit data prepare {name} --root data/cobra/benchmarks",) for name in names]
    (tmp_path / "data/cobra/benchmarks/vqav2/val2014").mkdir(parents=True)
    assert "images" not in missing_benchmarks(load_recipe("cobra_3b", profile="paper"))[0].what


def test_drawn_data_need_no_file() -> None:
    assert missing_data(load_recipe("cobra_tiny")) == []


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> VisionLanguageModel:
    """A model whose projector wants two repositories and whose other parts want nothing."""
    resolved = resolve(load_recipe("cobra_tiny"))
    model, _ = count_model(resolved)
    object.__setattr__(resolved.parts["projector"].config, "weights", "hub")

    files = tuple(PretrainedFile(f"owner/{name}", "*.safetensors") for name in ("one", "two"))
    object.__setattr__(model.projector, "pretrained_files", lambda config: files)
    return model


def test_weights_from_the_hub_are_named_with_the_command(
    asking: VisionLanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    before = huggingface_hub.snapshot_download
    assert asking.recipe is not None
    remedies = {thing.what: thing.remedies for thing in missing_weights(asking, asking.recipe)}
    assert remedies == {
        "weights of mlp/fused: owner/one": ("hf download owner/one --include '*.safetensors'",),
        "weights of mlp/fused: owner/two": ("hf download owner/two --include '*.safetensors'",),
    }
    assert huggingface_hub.snapshot_download is before


def test_a_weights_file_that_is_not_there() -> None:
    resolved = resolve(load_recipe("cobra_tiny", overrides=["model.backbone.weights=/nowhere/weights.safetensors"]))
    model, _ = count_model(resolved)
    (weights,) = missing_weights(model, resolved)
    assert weights.what == "weights of mamba/tiny: /nowhere/weights.safetensors is not there"


def test_a_component_that_names_neither_files_nor_a_repository_is_said_to(asking: VisionLanguageModel) -> None:
    object.__setattr__(asking.projector, "pretrained_files", lambda config: ())
    assert asking.recipe is not None
    (weights,) = missing_weights(asking, asking.recipe)
    assert weights.what == "weights of mlp/fused: from the hub, it does not say which"


def test_nothing_is_fetched_where_requests_are_noted() -> None:
    with noted_requests() as requests, pytest.raises(WeightsError, match="nothing is fetched here"):
        hub_file("owner/name", ["model.safetensors", "model.bin"], revision="v1", where="test")
    assert requests == [HubRequest("owner/name", ("model.safetensors",), "v1")]
