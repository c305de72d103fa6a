"""Rows read one by one: the same as all at once, in errors too, and in memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from cobra_kit.data.json_rows import decode_rows
from cobra_kit.data.json_stream import stream_rows
from cobra_kit.errors import DataError

ROWS = [{"id": i, "text": "ä\u2028{[," + "x" * (i % 50)} for i in range(300)]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n".join(map(json.dumps, ROWS)),
        "\ufeff" + json.dumps(ROWS),
        json.dumps(ROWS).encode("utf-16"),
        " \n[ ]\n",
        "",
    ],
)
def test_the_rows_are_those_of_the_whole_file(tmp_path, monkeypatch, content):
    monkeypatch.setattr("cobra_kit.data.json_stream._CHUNK", 7)  # every value is cut somewhere
    file = write(tmp_path / "rows.json", content)
    assert list(stream_rows(file)) == decode_rows(file.read_bytes(), file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": 1},\n {"id": }]', r"line 2, column 9: not JSON \(expecting value"),
        ('[{"id": 1}\n {"id": 2}]', r"line 2, column 2: not JSON \(expecting ',' or '\]'\)"),
        ('[{"id": 1},\n', r"line 2, column 1: not JSON \(expecting a value, the file ends\)"),
        ('[{"id": 1}', "the list has no end"),
        ('{"id": 1},\n{"id": 2}', "line 1, column 10: a comma behind the object"),
        ('[{"id": 1}] x', "something stands behind the list"),
        ('[{"id": "a\0b"}]', "line 1, column 11: a NUL byte"),
        (b'[{"id": "\xff"}]', "byte 0xff is not UTF-8"),
        (b"PK\x03\x04", "a zip file, not JSON"),
        ("rows: 3", "begins with 'rows: 3'"),
    ],
)
def test_what_is_no_file_of_rows_is_named_with_line_and_column(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        list(stream_rows(write(tmp_path / "rows.json", content)))


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path):
    file = write(tmp_path / "rows.json", json.dumps(ROWS))
    rows = stream_rows(file)
    next(rows)
    file.write_text("[]")
    with pytest.raises(DataError, match="changed while it was read"):
        list(rows)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        list(stream_rows(tmp_path / "none.json"))


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(count):
        file = tmp_path / f"{count}.json"
        file.write_text(json.dumps([{"id": i, "text": "x" * 200} for i in range(count)]))
        tracemalloc.start()
        assert sum(1 for _ in stream_rows(file)) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(60_000) < 1.2 * peak(15_000)
