"""LVIS-Instruct4V and LRV-Instruct to LLaVA's rows: what is mended, what is left out, and the command."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cobra_kit.cli.app import app
from cobra_kit.data.json_stream import stream_rows
from cobra_kit.text.llava import parse_llava_row
from cobra_kit_llava.converters import Refused, converted, lrv_instruct, lvis_instruct4v


def turns(*texts):
    return [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)]


def convert(converter, row, images=None):
    (result,) = converted(iter([row]), converter, "x", images)
    return result


def test_rows_of_lvis_get_ids_of_their_own_and_one_marker_in_front():
    row = {"id": "000000000042", "image": "coco/train2017/000000000042.jpg"}
    good = convert(lvis_instruct4v, {**row, "conversations": turns("<image>\nWhat?", "A cat.")})
    assert good == {**row, "id": "x-1", "conversations": turns("<image>\nWhat?", "A cat.")}
    mended = convert(lvis_instruct4v, {**row, "conversations": turns("What?", "A cat.", "<image>And?", "<image>No.")})
    assert parse_llava_row(mended).turns == (("<image>\nWhat?", "A cat."), ("And?", "No."))


def test_rows_of_lrv_become_a_question_and_an_answer(tmp_path):
    row = {"image_id": 2392588, "question": "Is there <image> a teapot?", "answer": " No. ", "task": "negative"}
    assert convert(lrv_instruct, row)["image"] == "vg/VG_100K/2392588.jpg"
    (tmp_path / "vg/VG_100K_2").mkdir(parents=True)
    (tmp_path / "vg/VG_100K_2/2392588.jpg").touch()
    result = convert(lrv_instruct, row, tmp_path)
    assert result["image"] == "vg/VG_100K_2/2392588.jpg"
    assert result["conversations"] == turns("<image>\nIs there  a teapot?", "No.")


@pytest.mark.parametrize(
    ("converter", "row", "reason"),
    [
        (lrv_instruct, {"image_id": "1", "question": "Q?", "answer": " "}, "no `answer`, or an empty one"),
        (lrv_instruct, {"question": "Q?", "answer": "A"}, "no `image_id`, or an empty one"),
        (lrv_instruct, 7, "no `image_id`"),
        (lvis_instruct4v, {"image": "a.jpg"}, "`conversations` must be a list of turns"),
        (lvis_instruct4v, {"image": "a.jpg", "conversations": turns("Q?")}, "an odd number"),
        (lvis_instruct4v, {"image": "a.jpg", "conversations": turns("Q?", None)}, "a turn has no text"),
    ],
)
def test_rows_that_cannot_be_converted_say_why(converter, row, reason):
    result = convert(converter, row)
    assert isinstance(result, Refused)
    assert reason in result.reason


def test_the_command_writes_rows_and_counts_the_rest(tmp_path):
    rows = [{"image_id": str(i), "question": "Q?", "answer": "A" if i else ""} for i in range(3)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    out = tmp_path / "rows.jsonl"
    words = ["data", "convert", "lrv-instruct", str(tmp_path / "a.json"), "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert f"2 rows written to {out}; 1 left out" in result.output
    assert [row["id"] for row in stream_rows(out)] == ["lrv-instruct-2", "lrv-instruct-3"]
    again = CliRunner().invoke(app, words)
    assert "is there already" in str(again.exception)
