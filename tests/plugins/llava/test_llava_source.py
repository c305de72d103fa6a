"""LLaVA files from disk: good rows, rejected rows, and every way in which the files can be wrong."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image

from cobra_kit.errors import DataError, ImageError
from cobra_kit.events import Message
from cobra_kit_llava.source import Params, Rows


def row(identity, image="a.png", turns=("<image>\nWhat?", "This.")):
    speakers = ("human", "gpt")
    conversation = [{"from": speakers[i % 2], "value": value} for i, value in enumerate(turns)]
    return {"id": identity, "conversations": conversation, **({"image": image} if image else {})}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "images" / "a.png")

    def make(content):
        (tmp_path / "rows.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return Params(rows=tmp_path / "rows.json", images=tmp_path / "images")

    return make


def test_rows_and_images(write):
    source = Rows.open(write([row(1), row("b", image=None, turns=("Hi", "Hello", "Bye", "See you"))]))
    assert [r.row_id for r in source.rows] == ["1", "b"]
    assert source.rows[0].images == ("a.png",)
    assert source.rows[1].turns == (("Hi", "Hello"), ("Bye", "See you"))
    assert source.image_ids("train") == ("a.png",)
    assert source.image_ids("val") == ()
    assert source.image("a.png").getpixel((0, 0)) == (255, 0, 0)
    assert source.benchmarks("test") == {}


def test_rows_with_one_id_are_both_kept(write):
    source = Rows.open(write([row(1), row(1)]))
    assert [r.row_id for r in source.rows] == ["1", "1#2"]


def test_no_row_is_overwritten_by_one_whose_id_is_its_new_name(write):
    source = Rows.open(write([row("a"), row("a#3"), row("a", turns=("<image>\nAnd?", "That."))]))
    assert len(source.rows) == 3
    assert len({r.row_id for r in source.rows}) == 3
    assert [r.turns[0][1] for r in source.rows] == ["This.", "This.", "That."]


@pytest.mark.parametrize("ending", ["\n", "", "\r\n\r\n"])
def test_rows_are_read_from_json_lines_too(write, ending):
    lines = "\n".join(json.dumps(row(i)) for i in range(3)) + ending
    assert [r.row_id for r in Rows.open(write(lines)).rows] == ["0", "1", "2"]


def test_bad_rows_are_left_out_and_counted_with_reasons(write):
    events = []
    bad = [row(2, turns=()), row(3, image=None), {"id": 4, "conversations": [{"from": "gpt", "value": "x"}] * 2}, 7]
    source = Rows.open(write([row(1), *bad]), events.append)
    assert [r.row_id for r in source.rows] == ["1"]
    (event,) = events
    assert isinstance(event, Message)
    assert event.level == "warning"
    assert "4 of 5 rows break LLaVA's form and are left out:" in event.text
    assert "row 2: row 2: the conversation has no turns" in event.text
    assert "row 4: row 4: the conversation starts with 'gpt'" in event.text
    assert event.text.endswith("and 1 more")


def test_the_fingerprint_follows_rows_and_images(write, tmp_path):
    first = Rows.open(write([row(1)])).fingerprint
    assert Rows.open(write([row(1)])).fingerprint == first
    assert Rows.open(write([row(2)])).fingerprint != first
    Image.new("RGB", (40, 4)).save(tmp_path / "images" / "a.png")
    assert Rows.open(write([row(1)])).fingerprint != first


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[{", r"line 1, column 3: not JSON \(expecting property name"),
        ("{}", "one object without `conversations`"),
        ("[]", r"no training row is left\n +The file is empty"),
        ([row(1, turns=())], r"no training row is left\n +1 of 1 rows break LLaVA's form:\n +row 1"),
    ],
)
def test_files_that_are_no_rows(write, content, expected):
    with pytest.raises(DataError, match=expected):
        Rows.open(write(content))


def test_missing_files_and_folders_are_named(write, tmp_path):
    params = write([row(1)])
    with pytest.raises(DataError, match=r"nowhere: no such picture folder"):
        Rows.open(params.model_copy(update={"images": tmp_path / "nowhere"}))
    with pytest.raises(DataError, match=r"nothing.json: the rows cannot be read: No such file"):
        Rows.open(params.model_copy(update={"rows": tmp_path / "nothing.json"}))


def test_images_missing_or_outside_the_folder_are_errors(write, tmp_path):
    source = Rows.open(write([row(1)]))
    with pytest.raises(ImageError, match="no such image file"):
        source.image("b.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    with pytest.raises(ImageError, match="leads out of the picture folder"):
        source.image("../secret.png")


def test_rows_without_an_image_serve_the_stage_of_conversations(write):
    source = Rows.open(write([row(1), row(2, image=None, turns=("Hi", "Hello"))]))
    assert [r.row_id for r in source.text_rows("conversations")] == ["2"]
    with pytest.raises(DataError, match=r"conversations, no plain text\n +Leave the text stages out"):
        source.text_rows("passages")
    with pytest.raises(DataError, match="every row has a picture"):
        Rows.open(write([row(1)])).text_rows("conversations")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_rows_that_are_no_file_are_not_waited_for(tmp_path, write, kind):
    params = write([row(1)])
    place = tmp_path / "odd"
    make = {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": os.mkdir}[kind]
    make(place)
    with pytest.raises(DataError, match=rf"odd: the rows cannot be read: is a .*{kind}.*\n +data.rows must name"):
        Rows.open(params.model_copy(update={"rows": place}))


def test_rows_larger_than_memory_are_refused_unread(tmp_path, write):
    params = write([row(1)])
    with (tmp_path / "giant.json").open("wb") as file:
        file.truncate(1 << 42)  # sparse
    with pytest.raises(DataError, match=r"giant.json: holds 4,096.0 GiB, and reading it takes more memory"):
        Rows.open(params.model_copy(update={"rows": tmp_path / "giant.json"}))


def test_an_image_that_is_a_pipe_is_an_image_error(tmp_path, write):
    source = Rows.open(write([row(1), row(2, image="b.png")]))
    os.mkfifo(tmp_path / "images" / "b.png")
    assert source.fingerprint
    with pytest.raises(ImageError, match="a pipe or a device"):
        source.image("b.png")
