"""`cobra-kit run`: what it says before, while and after; Ctrl-C; JSON on stdout and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import miniature
import pytest

from cobra_kit.cli import main, run_action
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan.study_plan import make_plan


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return miniature.write(tmp_path)


def test_a_run_says_what_it_does_and_prints_the_table(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(recipe), "--out", str(tmp_path / "study"), "--set", "train.finetune.steps=4"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines()[:2] == [
        "recipe  miniature",
        "factor  model.projector    arms  mlp (reference), linear    seed  7",
    ]
    assert "mlp: finetune  step 4/4  loss" in printed.err
    assert "linear: trained in 0:0" in printed.err
    assert f"table.md and table.json are in {tmp_path / 'study'}" in printed.err
    assert "--set train.finetune.steps=4" in printed.err.splitlines()[-1]
    assert printed.err.splitlines()[-1].endswith("--control shuffled-images")
    assert printed.out.startswith("Projector ablation, test split, 1 seed\n")
    assert all(len(line) <= 80 for line in printed.out.splitlines())
    assert main([*arguments, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["reference"] == "mlp"
    assert "finished before" in printed.err


def test_ctrl_c_says_how_to_go_on(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_action, "run_plan", interrupted)
    arguments = ["run", str(recipe), "--out", str(tmp_path / "my study"), "--fresh", "--control", "shuffled-images"]
    assert main(arguments) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2] == f"Interrupted. What is done is kept in {tmp_path / 'my study'}. To go on:"
    # Without --fresh: that would start over.
    assert lines[-1] == f"  cobra-kit run {recipe} --out '{tmp_path / 'my study'}' --control shuffled-images"


def test_errors_are_one_line_and_a_hint(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(recipe), "--out", str(tmp_path), "--control", "none"]) == 1
    assert capsys.readouterr().err.endswith("error: no control named 'none'\n       Controls: shuffled-images\n")
    assert main(["run", str(recipe), "--out", str(tmp_path)]) == 1  # the folder holds the recipe
    assert "holds other things (miniature.yaml) and no study" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ablation_projector", "ablation_encoder", "ablation_epochs", "ablation_fusion"])
def test_the_heading_fits_80_columns_and_points_to_the_other_scale(name: str) -> None:
    plan = make_plan(load_recipe(name))
    lines = run_action.heading(plan, Path("studies") / plan.name, 80)
    text = "\n".join(lines)
    assert all(len(line) <= 80 for line in lines)
    assert "profile laptop (embedded data)" in text
    assert "for the paper's scale: --profile paper" in text
    assert "(reference)" in text
