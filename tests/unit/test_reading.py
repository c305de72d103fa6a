"""Small files that anybody may have written: a value or an error that names the file, whatever stands in them."""

from __future__ import annotations

import json
import os
import pickle
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cobra_kit.errors import DamagedFile, DataError, UnreadableFile
from cobra_kit.files import damage_as, json_bytes, parse_json, read_json, read_mapping, read_small, read_utf8

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read(value: Any) -> None:
    assert parse_json(json_bytes(value, indent=2), "a.json") == value


@given(st.binary(max_size=200))
@example(b"\xff\xfe[\x00]\x00")
@example(b'"\\ud800')
@example(b"[" * 100)
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_a_value_or_an_error(content: bytes) -> None:
    with suppress(DamagedFile):
        parse_json(content, "a.json")


@given(VALUES, st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_text_is_a_value_or_an_error(value: Any, data: st.DataObject) -> None:
    content = bytearray(json_bytes({"a": value}))
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "zero"])):
        case "flip":
            content[place] ^= data.draw(st.integers(1, 255))
        case "cut":
            del content[place:]
        case _:
            content[place:] = bytes(len(content) - place)
    with suppress(DamagedFile):
        parse_json(bytes(content), "a.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\0" * 4096, "nothing but NUL bytes: it was not written to its end"),
        (b'{"a": 1}\0', "a NUL byte at 8"),
        (b'{"a": \xff}', "not UTF-8: byte 6 is 0xff"),
        (b"\xff\xfe{\x00}\x00", "a NUL byte"),
        (b"{'a': 1}", "line 1, column 2: not JSON"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} {}', "not JSON"),
        (b"NaN", "NaN is no number of JSON"),
        (b"[-Infinity]", "-Infinity is no number of JSON"),
        (b"[1e999]", "the number 1e999 is not finite"),
        (b"9" * 101, "has too many digits"),
        (b"9" * 5000, "has too many digits"),
        (b"[" * 101 + b"]" * 101, "nested more than 100 levels deep"),
        (b"[" * 1_000_000, "nested more than 100 levels deep"),
        (b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000, "nested more than 100 levels deep"),
        (b'[{"a": [' * 2000, "nested more than 100 levels deep"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(DamagedFile) as caught:
        read_json(file, hint="Fetch it again.")
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)
    assert "Fetch it again." in str(caught.value)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[" * 100 + b"]" * 100, None),
        (json.dumps(["[" * 5000, '"[' * 5000, "\\" * 51]).encode(), None),
        (json.dumps([{"a": [1]}] * 5000).encode(), [{"a": [1]}] * 5000),
        (b'"\\udce9"', "\udce9"),
        (b"1000000000000000019884624838656", 1000000000000000019884624838656),
    ],
)
def test_what_is_json_is_read(content: bytes, value: object) -> None:
    read = parse_json(content, "a.json")
    assert value is None or read == value


@pytest.mark.parametrize("content", [b'"' + b'\\"[' * 1_000_000, b'["\\' * 500_000, b"[]" * 10**6, b"[}" * 10**6])
def test_hostile_texts_cost_no_time(content: bytes) -> None:
    begun = time.perf_counter()
    with pytest.raises(DamagedFile):
        parse_json(content, "a.json")
    assert time.perf_counter() - begun < 5


def test_nan_is_read_where_its_writer_writes_it() -> None:
    value = parse_json(b"[NaN, Infinity]", "a.json", nan=True)
    assert str(value) == "[nan, inf]"


@pytest.mark.parametrize("content", ["[]", "1", "null", '"a"', "true"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(content, "utf-8")
    with pytest.raises(DamagedFile, match="expected a mapping"):
        read_mapping(file)


def test_a_file_that_is_not_there_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "a.json", tmp_path / "file" / "a.json"):
        with pytest.raises(FileNotFoundError):
            read_json(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe, place, bound = tmp_path / "pipe", tmp_path / "folder", tmp_path / "socket"
    os.mkfifo(pipe)
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(bound))
        for path, words in ((pipe, "a named pipe"), (place, "a folder"), (bound, "a socket")):
            with pytest.raises(DamagedFile, match=f"is {words}, not a file"):
                read_small(path)
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(DamagedFile, match="is a device, not a file"):
        read_small(tmp_path / "zero")


def test_a_sparse_giant_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)
    with pytest.raises(DamagedFile, match="holds 1,099,511,627,776 bytes, of which next to none were ever written"):
        read_small(file, 1 << 50)
    file.write_bytes(b"x" * 101)
    with pytest.raises(DamagedFile, match="holds 101 bytes, more than the 100 that such a file may have"):
        read_small(file, 100)


def test_an_impossible_name_is_no_damage_and_a_link_in_a_circle_is(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(DamagedFile, match="is a link that leads in a circle"):
        read_utf8(tmp_path / "a")
    for path in (tmp_path / "a\0b", tmp_path / ("a" * 300)):
        with pytest.raises(UnreadableFile) as caught:
            read_utf8(path)
        assert not isinstance(caught.value, DamagedFile)


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(DamagedFile("a.json", "is empty", "Fetch it.")))
    assert isinstance(error, DamagedFile)
    assert str(error) == "a.json: is empty\n       Fetch it."


def test_damage_is_raised_as_the_callers_own_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    with pytest.raises(DataError, match=r"a\.json: is empty\n +Delete it\."), damage_as(DataError, "Delete it."):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="cannot be read") as caught, damage_as(DataError, "Delete it."):
        read_json(tmp_path / ("a" * 300))
    assert "Delete" not in str(caught.value)
