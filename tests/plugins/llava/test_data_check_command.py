"""`cobra-kit data check` on rows of one's own, the list that it writes and training honours, and `run` before it."""

from __future__ import annotations

import json
import time

import miniature
import pytest
from PIL import Image
from typer.testing import CliRunner

from cobra_kit.cli.app import app
from cobra_kit.data.check.recipe_data import check_quickly
from cobra_kit.data.sources import open_source
from cobra_kit.errors import DataError
from cobra_kit.recipe import load_recipe

SCENES = "data: {source: scenes, train: 60, val: 20, test: 24}"
VALIDATION = "  validation: {every_steps: 10, questions: 12}\n"


def rows_of(folder, count=6):
    (folder / "images").mkdir()
    rows = []
    for i in range(count):
        Image.new("RGB", (16, 16), (40 * i, 0, 0)).save(folder / "images" / f"{i}.png")
        turns = [{"from": "human", "value": "<image>\nHow red?"}, {"from": "gpt", "value": f"it is {i}"}]
        rows.append({"id": i, "image": f"{i}.png", "conversations": turns})
    return rows


@pytest.fixture
def make(tmp_path):
    def write(rows):
        (tmp_path / "rows.json").write_text(json.dumps(rows))
        data = f"data: {{source: llava/rows, rows: {tmp_path}/rows.json, images: {tmp_path}/images}}"
        assert SCENES in miniature.RECIPE
        (tmp_path / "own.yaml").write_text(miniature.RECIPE.replace(SCENES, data).replace(VALIDATION, ""))
        return str(tmp_path / "own.yaml")

    return write


def check(recipe, folder, *words):
    return CliRunner().invoke(app, ["data", "check", recipe, "--quarantine", str(folder / "list.jsonl"), *words])


def test_good_rows_are_shown_with_what_is_learnt_marked(make, tmp_path):
    result = check(make(rows_of(tmp_path)), tmp_path)
    assert result.exit_code == 0, result.output
    assert "6 rows, 6 pictures" in result.output
    assert "«it is 0" in result.output
    assert "Training may start." in result.output
    assert not (tmp_path / "list.jsonl").exists()


def test_what_cannot_be_trained_on_stops_it_until_the_list_leaves_it_out(make, tmp_path):
    rows = rows_of(tmp_path)
    (tmp_path / "images/1.png").write_bytes(b"no picture")
    (tmp_path / "images/2.png").unlink()
    rows[3]["conversations"].reverse()
    recipe = make(rows)
    result = check(recipe, tmp_path, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (report["bad_rows"], report["findings"]["image"]["count"], report["findings"]["form"]["count"]) == (3, 2, 1)
    assert report["quarantine"] == str(tmp_path / "list.jsonl")
    with_list = f"data.quarantine={tmp_path}/list.jsonl"
    again = check(recipe, tmp_path, "--set", with_list)
    assert again.exit_code == 0, again.output
    assert "6 rows, 3 of them left out by the quarantine list, 3 pictures" in again.output
    source = open_source(load_recipe(recipe, overrides=[with_list]))
    assert ([row.row_id for row in source.rows], source.rejects.total) == (["0", "4", "5"], 3)


def test_run_tells_missing_pictures_with_counts_before_anything_is_encoded(make, tmp_path):
    rows = rows_of(tmp_path)
    for i in (1, 4):
        (tmp_path / f"images/{i}.png").unlink()
    recipe = make(rows)
    started = time.monotonic()
    with pytest.raises(DataError, match=r"2 of the 6 pictures that the first 6 rows name are missing, such as 1\.png"):
        check_quickly(load_recipe(recipe))
    assert time.monotonic() - started < 10
    result = CliRunner().invoke(app, ["run", recipe, "--out", str(tmp_path / "study")])
    assert "2 of the 6 pictures" in str(result.exception)
    assert not (tmp_path / "study").exists()


def test_all_missing_files_are_named_at_once(make, tmp_path):
    recipe = make(rows_of(tmp_path))
    (tmp_path / "rows.json").unlink()
    changes = [f"data.images={tmp_path}/none"]
    with pytest.raises(DataError, match="2 of the files and folders of the data are not there") as caught:
        check_quickly(load_recipe(recipe, overrides=changes))
    assert "rows.json" in str(caught.value)
    assert f"data.images: {tmp_path}/none is not there" in str(caught.value)


def test_a_world_that_is_made_on_the_spot_is_not_looked_at_before_a_run(tmp_path):
    (tmp_path / "mini.yaml").write_text(miniature.RECIPE)
    check_quickly(load_recipe(str(tmp_path / "mini.yaml")))
