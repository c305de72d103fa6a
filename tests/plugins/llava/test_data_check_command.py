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


@pytest.fixture
def two(tmp_path):
    """A recipe with two sources of rows; the second has a row without its picture."""
    parts = []
    for name, count in (("good", 3), ("bad", 4)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "rows.json").write_text(json.dumps(rows_of(folder, count)))
        parts.append(f"{{source: llava/rows, rows: {folder}/rows.json, images: {folder}/images}}")
    (tmp_path / "bad/images/2.png").unlink()
    text = miniature.RECIPE.replace(SCENES, f"data: [{', '.join(parts)}]").replace(VALIDATION, "")
    (tmp_path / "two.yaml").write_text(text)
    return str(tmp_path / "two.yaml")


def test_every_source_of_a_list_has_its_check_and_its_quarantine_file(two, tmp_path):
    result = check(two, tmp_path, "--json")
    assert result.exit_code == 1, result.output
    first, second = json.loads(result.stdout)["sources"]
    assert (first["source"], first["rows"], first["may_start"], first["quarantine"]) == ("data.0", 3, True, None)
    assert (second["source"], second["rows"], second["bad_rows"]) == ("data.1", 4, 1)
    assert second["quarantine"] == str(tmp_path / "list.1.jsonl")
    assert sorted(path.name for path in tmp_path.glob("list*")) == ["list.1.jsonl"]


def test_the_text_names_the_sources_and_the_setting_that_each_list_goes_to(two, tmp_path):
    output = check(two, tmp_path).output
    assert output.index("data.0:") < output.index("Training may start.") < output.index("data.1:")
    assert f"--set data.1.quarantine={tmp_path}/list.1.jsonl" in output.replace("\n", "")


def test_a_source_of_a_list_leaves_out_what_its_own_list_names(two, tmp_path):
    check(two, tmp_path)
    with_list = f"data.1.quarantine={tmp_path}/list.1.jsonl"
    again = check(two, tmp_path, "--set", with_list, "--json")
    assert again.exit_code == 0, again.output
    first, second = json.loads(again.stdout)["sources"]
    assert (first["quarantined"], second["quarantined"], second["bad_rows"]) == (0, 1, 0)
    source = open_source(load_recipe(two, overrides=[with_list]))
    assert [row.row_id.rpartition("/")[2] for row in source.rows] == ["0", "1", "2", "0", "1", "3"]


def test_a_list_of_one_source_is_a_list_still(make, tmp_path):
    rows = rows_of(tmp_path)
    (tmp_path / "images/1.png").unlink()
    recipe = make(rows)
    text = (tmp_path / "own.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text.replace("data: {", "data: [{").replace("/images}", "/images}]"))
    (only,) = json.loads(check(recipe, tmp_path, "--json").stdout)["sources"]
    assert (only["source"], only["quarantine"]) == ("data.0", str(tmp_path / "list.0.jsonl"))


def test_a_training_picture_that_a_named_benchmark_has_too_is_told(make, tmp_path):
    recipe = make(rows_of(tmp_path))
    folder = tmp_path / "vsr"
    (folder / "images").mkdir(parents=True)
    Image.open(tmp_path / "images/3.png").save(folder / "images/other-name.png")
    row = {"image": "other-name.png", "image_link": "x", "caption": "The cat is left of the dog.", "label": 1}
    (folder / "test.jsonl").write_text(json.dumps({**row, "relation": "left of", "subj": "cat", "obj": "dog"}) + "\n")
    text = (tmp_path / "own.yaml").read_text()
    entry = f"[{{use: benchmarks/vsr, folder: {folder}, check_counts: false}}]"
    (tmp_path / "own.yaml").write_text(text.replace("evaluate:\n", f"evaluate:\n  benchmarks: {entry}\n"))
    result = check(recipe, tmp_path, "--json")
    assert result.exit_code == 0, result.output  # it is told, and does not stop training
    finding = json.loads(result.stdout)["findings"]["benchmark"]
    assert finding == {"count": 1, "examples": ["3.png is other-name.png of vsr"]}
