"""`cobra-kit report` and `cobra-kit reproduce`: what goes to stdout, to files and to stderr."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import miniature
import pytest
from fake_packages import run_python
from fake_study import write_study

from cobra_kit.cli import main
from cobra_kit.report import render_text, table_from_json
from cobra_kit.reproduce import needs


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return write_study(tmp_path)


def test_report_prints_the_table_and_writes_one_page(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(study)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Projector ablation, test split, 1 seed\n")
    assert f"report  {study / 'report.html'} (" in printed.err
    assert (study / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    other = study.parent / "mine.html"
    assert main(["report", str(study), "--out", str(other)]) == 0
    assert other.read_bytes() == (study / "report.html").read_bytes()


def test_other_formats_go_to_stdout_or_to_a_file(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {}
    for form in ("json", "text", "markdown", "csv", "latex"):
        assert main(["report", str(study), "--format", form]) == 0
        texts[form] = capsys.readouterr().out
        file = study.parent / f"table.{form}"
        assert main(["report", str(study), "--format", form, "--out", str(file)]) == 0
        assert capsys.readouterr().out == ""
        assert file.read_text(encoding="utf-8") == texts[form]
    assert texts["text"] == render_text(table_from_json(texts["json"]), 80) + "\n"
    assert len(list(csv.DictReader(io.StringIO(texts["csv"])))) == 12
    assert texts["markdown"].startswith("## Projector ablation")
    assert r"\toprule" in texts["latex"]


def test_an_unfinished_study_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_study(tmp_path, skip=("mlp-s7", "linear-s7"))
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "missing  mlp-s7: not started" in printed.err
    assert (folder / "report.html").is_file()
    assert main(["report", str(folder), "--format", "csv"]) == 1
    assert "no run is finished, so there is no table yet" in capsys.readouterr().err


def test_report_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "nothing")]) == 1
    assert f"error: {tmp_path / 'nothing'}: no study here" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--format", "pdf"]) == 2


def test_a_page_that_cannot_be_written(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(study), "--out", str(study / "no" / "page.html")]) == 1
    assert "Create the folder" in capsys.readouterr().err


def test_report_needs_no_torch(study: Path) -> None:
    code = (
        "import sys; from cobra_kit.cli import main\n"
        f"assert main(['report', {str(study)!r}]) == 0\n"
        "print(sorted({'torch', 'optuna', 'transformers'} & set(sys.modules)), file=sys.stderr)"
    )
    done = run_python("-c", code, cwd=study)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.fixture
def _weights_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """That builds every model on the meta device; the tests of `reproduce` do."""
    monkeypatch.setattr(needs, "_weights", lambda _: [])


@pytest.mark.usefixtures("_weights_are_not_looked_for")
def test_reproduce_names_recipes_verdicts_and_the_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "paper.table5", "--studies", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "w/ LDPv2: ablation_projector, ldpv2" in out
    assert "POPE 87.7" in out
    assert "(needs what is lacking)" in " ".join(out.split())
    assert "cells: 0 met, 0 missed, 54 not run" in out
    assert "Only a study of the recipe's paper profile" in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.usefixtures("_weights_are_not_looked_for")
def test_reproduce_as_json_and_with_nothing_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    miniature.write(tmp_path)
    assert main(["reproduce", "paper.table4", "--studies", str(tmp_path), "--run", "--json"]) == 0
    printed = capsys.readouterr()
    plain = json.loads(printed.out)
    assert [row["row"] for row in plain["rows"]] == ["LLaVA v1.5-7B", "Cobra-3.5B", "Cobra-8B"]
    assert plain["rows"][1]["cells"][0]["verdict"] == "not run"
    assert "benchmark refcoco: annotations data/cobra/benchmarks/refcoco" in " ".join(printed.err.split())
    assert list(tmp_path.iterdir()) == [tmp_path / "miniature.yaml"]
    assert main(["reproduce", "paper.table9"]) == 1
