"""The quarantine list: read as it was written, and refused where it is not whole or means other rows."""

from __future__ import annotations

import pytest

from cobra_kit.data.quarantine import QuarantinedRow, read_quarantine, write_quarantine
from cobra_kit.errors import DataError

ROWS = [QuarantinedRow("a.json", 3, "x", "no picture"), QuarantinedRow("b.json", 3, "", "line\nbreak \udc80")]


def test_a_list_says_why_rows_are_left_out(tmp_path):
    path = tmp_path / "list.jsonl"
    assert write_quarantine(path, ROWS) == 2
    listed = read_quarantine(path)
    assert len(listed) == 2
    assert listed.reason("a.json", 3, "x") == "no picture"
    assert listed.reason("b.json", 3, "") == "line\nbreak \udc80"
    assert listed.reason("a.json", 4, "x") is None


def test_no_file_leaves_nothing_out():
    assert read_quarantine(None).reason("a.json", 1, "x") is None


def test_a_list_of_other_rows_is_refused(tmp_path):
    write_quarantine(tmp_path / "list.jsonl", ROWS)
    with pytest.raises(DataError, match=r"row 3 of a\.json to be 'x', but that is 'y' now"):
        read_quarantine(tmp_path / "list.jsonl").reason("a.json", 3, "y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "its last line is missing"),
        (lambda lines: [*lines[:1], *lines[2:]], "its last line is missing"),
        (lambda lines: lines[1:], "its first line does not say so"),
        (lambda lines: [], "its first line does not say so"),
        (lambda lines: [lines[0], "{", *lines[2:]], "line 2: not JSON"),
        (lambda lines: [lines[0], "{}", *lines[2:]], "line 2: no `file`"),
    ],
)
def test_what_is_no_whole_list_is_refused(tmp_path, change, message):
    path = tmp_path / "list.jsonl"
    write_quarantine(path, ROWS)
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(DataError, match=message):
        read_quarantine(path)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_quarantine(tmp_path / "none.jsonl")
