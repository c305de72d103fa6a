"""Several files of rows in one source, the quarantine list that it honours, and the same read row by row."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from cobra_kit.data.quarantine import QuarantinedRow, write_quarantine
from cobra_kit.data.sources import source_settings
from cobra_kit.errors import DataError, RecipeError
from cobra_kit.recipe import load_recipe
from cobra_kit_llava.source import Params, Rows


def row(identity, image="a.png", answer="This."):
    question = "<image>\nWhat?" if image else "What?"
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": identity, "conversations": turns, **({"image": image} if image else {})}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "images/a.png")
    (tmp_path / "a.json").write_text(json.dumps([row(1), {"id": 2, "conversations": []}]))
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(row(i, image=None)) for i in (1, 3)))
    return tmp_path


def params(files, **settings):
    names = [str(files / "a.json"), str(files / "b.jsonl")]
    return Params.model_validate({"rows": names, "images": str(files / "images"), **settings})


def test_rows_of_several_files_follow_each_other_and_have_ids_of_their_own(files):
    events = []
    source = Rows.open(params(files), events.append)
    assert [item.row_id for item in source.rows] == ["1", "1#3", "3"]
    assert source.rejects.out_of == 4
    assert f"{files}/a.json row 2: row 2: the conversation has no turns" in events[0].text


def test_a_single_file_has_the_fingerprint_that_it_had_in_a_list(files):
    one = Params(rows=files / "a.json", images=files / "images")
    listed = Params.model_validate({"rows": [str(files / "a.json")], "images": str(files / "images")})
    assert Rows.open(one).fingerprint == Rows.open(listed).fingerprint
    assert Rows.open(params(files)).fingerprint != Rows.open(one).fingerprint


def test_rows_of_the_quarantine_list_are_left_out_and_counted(files):
    write_quarantine(files / "list", [QuarantinedRow(str(files / "b.jsonl"), 1, "1", "no picture")])
    events = []
    source = Rows.open(params(files, quarantine=str(files / "list")), events.append)
    assert [item.row_id for item in source.rows] == ["1", "3"]
    assert source.rejects.total == 2
    assert "(1 by the quarantine list)" in events[0].text
    assert source.fingerprint != Rows.open(params(files)).fingerprint


def test_a_list_of_other_rows_is_refused(files):
    write_quarantine(files / "list", [QuarantinedRow(str(files / "b.jsonl"), 2, "1", "no picture")])
    with pytest.raises(DataError, match="to be '1', but that is '3' now"):
        Rows.open(params(files, quarantine=str(files / "list")))


def test_the_stream_has_the_same_rows_with_their_places(files):
    stream = Rows.stream(params(files, captions=str(files / "a.json")))
    rows = list(stream.rows())
    assert [(item.number, item.row_id, item.row is not None) for item in rows] == [
        (1, "1", True),
        (2, "2", False),
        (1, "1", True),
        (2, "3", True),
    ]
    assert stream.has_image("a.png")
    assert not stream.has_image("../images/a.png")
    assert not stream.has_image("b.png")


def test_no_file_at_all_is_a_wrong_setting(files):
    with pytest.raises(DataError, match="no training row is left"):
        Rows.open(Params(rows=(), images=files / "images"))


def test_a_recipe_may_list_the_files(files):
    listed = [f"{files}/a.json", f"{files}/a.json"]
    recipe = load_recipe(
        "cobra_3b", profile="paper", overrides=[f"data.rows={json.dumps(listed)}", f"data.images={files}/images"]
    )
    (settings,) = source_settings(recipe)
    assert [str(path) for path in settings.files] == listed
    with pytest.raises(RecipeError, match=r"data\.rows: expected a text or in a list, a text"):
        source_settings(load_recipe("cobra_3b", profile="paper", overrides=["data.rows=[a, 3]"]))
