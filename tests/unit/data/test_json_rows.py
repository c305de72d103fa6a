"""Files of rows in both forms, and what is said about files that have neither."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.data.json_rows import decode_rows
from cobra_kit.errors import DataError

FILE = Path("rows.json")
A, B = {"id": 1, "conversations": []}, {"id": 2, "conversations": []}


def lines(*rows, between="\n"):
    return between.join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b" \n", []),
        (b"[]", []),
        (json.dumps([A, B], indent=2).encode(), [A, B]),
        (lines(A, B), [A, B]),
        (lines(A, B) + b"\n\n", [A, B]),
        (lines(A, B, between="\r\n"), [A, B]),
        (lines(A, B, between=""), [A, B]),
        (json.dumps(A, indent=1).encode() + b"\n" + json.dumps(B, indent=1).encode(), [A, B]),
        (lines(A), [A]),
        (lines(A, 7, [B]), [A, 7, [B]]),
        (b"\xef\xbb\xbf" + lines(A, B), [A, B]),
        (lines(A, B).decode().encode("utf-16"), [A, B]),
    ],
)
def test_a_list_and_lines_are_rows(content, rows):
    assert decode_rows(content, FILE) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": 1}\n{"id": 2,}\n', r"line 2, column \d+: not JSON"),
        (b'{"id": 1}\n{"id": 2', "line 2, column 9: not JSON"),
        (b'{"id": 1}\nfour\n', "line 2, column 1: not JSON"),
        (b'{"id": 1},\n{"id": 2}\n', "line 1: a comma behind the object"),
        (b'[{"id": 1},\n{"id" 2}]', "line 2, column 7: not JSON"),
        (b"id,image\n1,a.png", "neither a JSON list nor JSON lines: it begins with 'id,image"),
        (b"null", "neither a JSON list nor JSON lines: it begins with 'null'"),
        (gzip.compress(b"[]"), "a gzip file, not JSON"),
        (b"PAR1....", "a Parquet file, not JSON"),
        (b'{"id": 1}\n{"id": "\xff"}', "line 2: byte 0xff is not UTF-8"),
        (b'{"id": 1}\n\0\0\0', "line 2: a NUL byte"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"data": [], "n": 3}', r"one object without `conversations` \(it has 'data', 'n'\)"),
        (b"[1" + b"1" * 5000 + b"]", "not JSON"),
    ],
)
def test_other_files_are_refused_with_the_place_and_the_two_forms(content, message):
    with pytest.raises(DataError, match=message) as error:
        decode_rows(content, FILE)
    assert error.value.where == "rows.json"
    assert error.value.hint


def test_a_list_below_a_key_is_pointed_to():
    with pytest.raises(DataError, match="The list below 'data' may be what is meant: save it alone"):
        decode_rows(b'{"data": [], "n": 3}', FILE)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0a \n\0', max_size=30).map(str.encode))
def test_no_content_ends_in_another_error(content):
    with contextlib.suppress(DataError):
        assert isinstance(decode_rows(content, FILE), list)
