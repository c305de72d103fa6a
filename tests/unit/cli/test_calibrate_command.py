"""`cobra-kit recipes calibrate`: what it prints of a study, its exit status, and what it never prints."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import miniature
import pytest
from fake_study import without_digests, write_study

from cobra_kit.cli import main
from cobra_kit.files import write_json
from cobra_kit.study.reading.stored_files import read_benchmark_scores, read_summary

SEEDS = miniature.ABLATION + "  seeds: [7, 8, 9]\n"


@pytest.fixture(scope="module")
def three_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(folder / "cache"))
        return write_study(folder, SEEDS)


@pytest.fixture
def study(three_seeds: Path, tmp_path: Path) -> Path:
    """A copy of a study of two arms and three seeds, without digests, to spoil."""
    return without_digests(Path(shutil.copytree(three_seeds, tmp_path / "study")))


def calibrated(study: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = main(["recipes", "calibrate", str(study), "--json"])
    return status, json.loads(capsys.readouterr().out)


def set_bounds(study: Path, **values: Any) -> None:
    """Writes other floors or ceilings into all scores of a study."""
    for file in study.glob("runs/*/scores.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        for entry in content["test"].values():
            entry.update(values)
        write_json(file, content)


def test_it_prints_the_reference_arm_of_a_study(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_bounds(study, floor=0.5, ceiling=1.0)
    assert main(["recipes", "calibrate", str(study)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("miniature: reference arm mlp, test split, 3 seeds (7, 8, 9)\n")
    assert re.search(r"^  benchmark +questions +floor +ceiling +mean +way +SD +sees$", out, re.MULTILINE)
    # Three of four questions are right, whatever the seed.
    assert re.search(r"^  spatial +\d+ +50\.0 +100\.0 +7\d\.\d +\d\d % +0\.0 +\S+$", out, re.MULTILINE)
    assert re.search(r"^    spatial/1 +\d+ +\S+ +- +\d+\.\d ", out, re.MULTILINE)
    assert "All of 6 lie between 20 and 90 % of the way from floor to ceiling." in out
    assert "chosen by the reference arm alone" in out
    assert "linear" not in out


def test_json_has_the_same(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_bounds(study, floor=0.5, ceiling=1.0)
    status, plain = calibrated(study, capsys)
    assert (status, plain["holds"], plain["outside"], plain["seeds"]) == (0, True, [], [7, 8, 9])
    assert (plain["study"], plain["reference"], plain["paired"]) == ("miniature", "mlp", True)
    assert (plain["lowest"], plain["highest"], plain["enough_seeds"]) == (20.0, 90.0, True)
    spatial = next(entry for entry in plain["benchmarks"] if entry["name"] == "spatial")
    run = study / "runs" / "mlp-s7"
    scores = [q.score for q in read_benchmark_scores(run, read_summary(run)["test"]["spatial"])]
    assert spatial["questions"] == len(scores)
    assert spatial["mean"] == pytest.approx(100 * sum(scores) / len(scores))
    assert spatial["way"] == pytest.approx(2 * (spatial["mean"] - 50))
    assert spatial["deviation"] == pytest.approx(0)
    assert spatial["position"] == "inside"
    assert sum(group["questions"] for group in spatial["groups"]) == len(scores)
    assert "linear" not in json.dumps(plain), "no other arm is looked at"


def test_benchmarks_outside_are_named_and_fail(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_bounds(study, floor=0.72, ceiling=1.0)
    assert main(["recipes", "calibrate", str(study)]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^  spatial .* below 20 %$", out, re.MULTILINE)
    assert re.search(r"^Not between 20 and 90 % of the way from floor to ceiling: .*spatial \(below 20 %\)", out, re.M)
    set_bounds(study, floor=0.0, ceiling=0.8)
    assert main(["recipes", "calibrate", str(study)]) == 1
    assert "spatial (above 90 %)" in capsys.readouterr().out


def test_a_study_without_floors_says_so_and_fails(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_bounds(study, floor=None)
    assert main(["recipes", "calibrate", str(study)]) == 1
    out = capsys.readouterr().out
    assert "Without a floor below a ceiling, so nobody knows: presence, attribute, count, spatial," in out
    assert re.search(r"^  spatial +\d+ +- +\S+ +\d+\.\d +- .* no bounds$", out, re.MULTILINE)


def test_one_seed_is_too_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    study = without_digests(write_study(tmp_path))
    set_bounds(study, floor=0.5, ceiling=1.0)
    assert main(["recipes", "calibrate", str(study)]) == 1
    out = capsys.readouterr().out
    assert "reference arm mlp, test split, 1 seed (7)\n" in out
    assert "Too few seeds: 1 of the 3 that it takes" in out
    assert "sees:" not in out, "nothing is known of what it sees"
    status, plain = calibrated(study, capsys)
    assert (status, plain["enough_seeds"], plain["outside"], plain["holds"]) == (1, False, [], False)
    assert {entry["deviation"] for entry in plain["benchmarks"]} == {None}


def test_seeds_of_the_reference_that_are_not_finished_are_not_counted(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(study / "runs" / "mlp-s8")
    shutil.rmtree(study / "runs" / "linear-s7")
    status, plain = calibrated(study, capsys)
    assert (status, plain["seeds"], plain["paired"]) == (1, [7, 9], False)


def test_a_reference_without_a_finished_run_is_not_replaced_by_another_arm(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in study.glob("runs/mlp-*"):
        shutil.rmtree(run)
    assert main(["recipes", "calibrate", str(study)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error: {study}/runs: the reference arm 'mlp' has no finished run\n" in printed.err


def test_a_study_that_asked_nothing_has_nothing_to_calibrate(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in study.glob("runs/*/scores.json"):
        write_json(file, {"test": {}})
    assert main(["recipes", "calibrate", str(study)]) == 1
    assert "there were no benchmarks to ask, so there is nothing to calibrate" in capsys.readouterr().err


def test_of_a_recipe_it_is_the_study_in_its_own_folder(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.parent)
    Path("miniature.yaml").write_text(SEEDS, encoding="utf-8")
    assert main(["recipes", "calibrate", "miniature.yaml"]) == 1
    assert capsys.readouterr().err == (
        "error: studies/miniature: the recipe has no study yet\n"
        "       `cobra-kit run miniature.yaml` makes it; or name a study's folder.\n"
    )
    shutil.move(study, Path("studies") / "miniature")
    set_bounds(Path("studies/miniature"), floor=0.5, ceiling=1.0)
    assert main(["recipes", "calibrate", "miniature.yaml"]) == 0
    by_recipe = capsys.readouterr().out
    assert main(["recipes", "calibrate", "studies/miniature"]) == 0
    assert capsys.readouterr().out == by_recipe


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["."], 1, "no study here"),
        (["nowhere"], 1, "no recipe 'nowhere'"),
        (["cobra_tiny", "--profile", "huge"], 1, "huge"),
        ([".", "--profile", "paper"], 2, "--profile is for a recipe, and . is a study's folder"),
    ],
)
def test_what_is_no_study(
    words: list[str],
    status: int,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["recipes", "calibrate", *words]) == status
    printed = capsys.readouterr()
    assert text in printed.err
    assert printed.out == ""


def test_its_text_fits_80_columns(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["recipes", "calibrate", str(study)])
    out = capsys.readouterr().out
    assert re.search(r"^  spatial +\d+ ", out, re.MULTILINE), "as a table, not one column below the other"
    assert max(map(len, out.splitlines())) <= 80
