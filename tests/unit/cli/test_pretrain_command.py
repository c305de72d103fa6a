"""`cobra-kit pretrain` makes what the recipe's section says, and prints a backbone's figures as its card has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.cli import main
from cobra_kit.weights import load_metadata

RECIPE = """\
backbone: {use: mamba/tiny, d_model: 16, n_layer: 1, d_state: 4, weights: none}
data: {passages: 20, seed: 1, probe: 4}
train:
  pretrain_text: {steps: 2, batch_size: 4}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text(RECIPE)
    return file


def test_a_backbone_and_its_card(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain", "mine.yaml", "--out", "tiny.safetensors", "--set", "train.pretrain_text.steps=3"]) == 0
    read = capsys.readouterr()
    assert "3 steps see 12 of 20 rows" in read.err
    assert read.out.startswith("`tiny.safetensors`, ")
    command = "cobra-kit pretrain mine.yaml --out tiny.safetensors --set=train.pretrain_text.steps=3"
    assert f"`{command}` (recipe `mine`, seed 0)" in read.out
    assert "## Probes\nPerplexity of " in read.out
    assert load_metadata(recipe.with_name("tiny.safetensors"))["recipe"] == "mine"
    assert sorted(path.name for path in recipe.parent.iterdir()) == ["mine.yaml", "tiny.safetensors"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--set", "vision_encoder.use=siglip/tiny"], "it has vision_encoder and backbone"),
        (["--set", "backbone.use=mamba/tiyn"], "no backbone named 'mamba/tiyn'"),
        (["--set", "train.instruct_text.steps=3"], "train.instruct_text learns from conversations"),
        (["--out", "nowhere/tiny.safetensors"], "nowhere/tiny.resume: cannot be written"),
    ],
)
def test_mistakes_cost_no_training(
    recipe: Path, capsys: pytest.CaptureFixture[str], changes: list[str], message: str
) -> None:
    assert main(["pretrain", "mine.yaml", "--out", "tiny.safetensors", *changes]) == 1
    read = capsys.readouterr()
    assert message in read.err
    assert read.out == ""
    assert not recipe.with_name("tiny.safetensors").exists()


def test_a_models_recipe_is_sent_to_run(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text("model: {backbone: {use: mamba/tiny}}")
    assert main(["pretrain", "mine.yaml", "--out", "tiny.safetensors"]) == 1
    text = capsys.readouterr().err
    assert "mine.yaml" in text
    assert "no section vision_encoder or backbone" in text
    assert "`cobra-kit run`" in text
