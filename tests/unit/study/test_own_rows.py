"""Rows of one's own and no benchmark: everything but the evaluation, and every page says so."""

from __future__ import annotations

import json
from pathlib import Path

import miniature
import pytest
from PIL import Image
from typer.testing import CliRunner

import cobra_kit
from cobra_kit.cli.app import app
from cobra_kit.errors import DataError, RecipeError
from cobra_kit.events import Event, Message, StepDone
from cobra_kit.recipe import load_recipe
from cobra_kit.report import render_csv, render_latex, render_markdown, render_text, table_from_json
from cobra_kit.study.search.search_plan import make_search_plan

SCENES = "data: {source: scenes, train: 60, val: 20, test: 24}"
VALIDATION = "  validation: {every_steps: 10, questions: 12}\n"


def own_rows(folder: Path, count: int = 4, answer: str = "") -> str:
    """Writes rows and images, and returns the section `data` that reads them."""
    (folder / "images").mkdir()
    rows = []
    for i in range(count):
        Image.new("RGB", (16, 16), (60 * i, 0, 0)).save(folder / "images" / f"{i}.png")
        turns = [{"from": "human", "value": "<image>\nHow red?"}, {"from": "gpt", "value": answer or str(60 * i)}]
        rows.append({"id": i, "image": f"{i}.png", "conversations": turns})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return f"data: {{source: llava, rows: {folder}/rows.jsonl, images: {folder}/images}}"


def recipe_of(folder: Path, text: str = miniature.RECIPE, answer: str = "") -> Path:
    text = (
        text.replace(SCENES, own_rows(folder, answer=answer)).replace("steps: 20", "steps: 2").replace(VALIDATION, "")
    )
    return miniature.write(folder, text, "own")


def test_an_ablation_over_own_rows_trains_finishes_loads_and_says_not_evaluated(tmp_path: Path) -> None:
    recipe, study = recipe_of(tmp_path, miniature.ABLATION), tmp_path / "study"
    table = cobra_kit.run(recipe, out=study)
    assert (table.arms, table.seeds, table.rows) == (("mlp", "linear"), (7,), ())
    assert table.title == "Projector ablation, not evaluated, 1 seed"
    assert all(cost.parameters_trained for cost in table.costs.values())
    assert table_from_json((study / "table.json").read_text()) == table
    for text in (render_text(table), render_markdown(table), render_latex(table)):
        assert "Not evaluated: there were no benchmarks to ask" in text
        assert "floor" not in text
        assert "difference" not in text
    assert [line.split(",")[6] for line in render_csv(table).splitlines()] == ["arm", "mlp", "linear"]

    model = cobra_kit.load(study / "runs" / "mlp-s7")
    assert isinstance(model.generate(Image.new("RGB", (16, 16)), "How red?", max_new_tokens=2), str)
    assert cobra_kit.run(recipe, out=study) == table  # and nothing is repeated

    def command(*words: str) -> str:
        result = CliRunner().invoke(app, [*words])
        assert result.exit_code == 0, result.output
        return result.output

    status = command("status", str(study))
    assert status.count("not evaluated") == 2
    assert "accuracy" not in status
    assert "best so far" not in status
    assert "not evaluated" in command("report", str(study))
    assert "Not evaluated" in (study / "report.html").read_text()


def test_an_empty_list_of_benchmarks_trains_only(tmp_path: Path) -> None:
    text = miniature.RECIPE.replace(VALIDATION, "  benchmarks: []\n").replace("steps: 20", "steps: 1")
    table = cobra_kit.run(miniature.write(tmp_path, text), out=tmp_path / "study")
    assert table.rows == ()
    assert not (tmp_path / "study" / "runs" / "model-s7" / "predictions").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("  benchmarks: [presence]\n", r"own.yaml:\d+: .*the data source has no benchmarks, and so no 'presence'"),
        (VALIDATION, r"own.yaml:\d+: evaluate.validation: validation asks the questions of benchmarks"),
    ],
)
def test_questions_that_nobody_has_are_refused_before_anything_is_made(tmp_path: Path, line: str, message: str) -> None:
    recipe = recipe_of(tmp_path)
    recipe.write_text(recipe.read_text() + line)
    with pytest.raises(RecipeError, match=message):
        cobra_kit.run(recipe, out=tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_search_by_accuracy_without_benchmarks_is_refused_before_training(tmp_path: Path) -> None:
    text = miniature.search("train.finetune.learning_rate: {low: 1.0e-4, high: 1.0e-3}", trials=1)
    recipe = recipe_of(tmp_path, text)
    with pytest.raises(RecipeError, match="mean is an accuracy, and there are no benchmarks to ask"):
        make_search_plan(load_recipe(recipe))


def test_a_study_that_cuts_much_is_refused_until_its_recipe_allows_it(tmp_path: Path) -> None:
    text = miniature.ABLATION.replace("d_state: 4", "d_state: 4, max_text_tokens: 24")
    recipe, study = recipe_of(tmp_path, text, "red and " * 20), tmp_path / "study"
    events: list[Event] = []
    with pytest.raises(DataError, match=r"train.finetune, row 0: 4 of 4 rows are cut at 24 text tokens") as error:
        cobra_kit.run(recipe, out=study, report=events.append)
    assert "train.finetune.max_cut_share=" in str(error.value)
    assert not any(isinstance(event, StepDone) for event in events)

    allowed = ["train.finetune.max_cut_share=1"]  # which changes no result, so the folder stays the study's
    cobra_kit.run(recipe, overrides=allowed, out=study, report=events.append)
    assert sum("4 of 4 rows are cut" in event.text for event in events if isinstance(event, Message)) == 2
    manifest = json.loads((study / "runs" / "mlp-s7" / "manifest.json").read_text())
    assert manifest["rows"]["data.rows"] == {"rows": 4, "rejected_rows": 0}
    assert "data.captions" not in manifest["rows"]
    counts = manifest["rows"]["train.finetune"]
    assert (counts["rows"], counts["cut_rows"]) == (4, 4)
    assert 0 < counts["cut_supervised_tokens"] < counts["supervised_tokens"]
