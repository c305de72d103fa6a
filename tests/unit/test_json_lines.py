"""JSON lines that survive a kill and a full disk: a line is whole, or it does not count."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.files import append_json_lines, append_whole, cut_torn_line, newest_json_lines, read_json_lines


@pytest.mark.parametrize("torn", [b"", b'{"b": 2', b'{"b": 2}', b"\xff", b"x" * 200_000])
def test_a_torn_line_is_cut_by_its_owner_and_passed_over_by_others(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    append_json_lines(path, [{"a": 1}, {"a": 2}])
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert list(newest_json_lines(path)) == [{"a": 2}, {"a": 1}]
    assert path.read_bytes() == whole + torn
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]
    assert path.read_bytes() == whole + torn  # reading changes nothing
    append_json_lines(path, [{"a": 3}])
    assert path.read_bytes() == whole + b'{"a": 3}\n'


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 200_000])
def test_a_file_without_a_whole_line_is_emptied(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    cut_torn_line(path)
    assert path.read_bytes() == b""


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_json_lines(tmp_path / "a.jsonl") == list(newest_json_lines(tmp_path / "a.jsonl")) == []


@pytest.mark.parametrize("line", [b"no JSON", b"[1]", b"\xff", b"[" * 100_000, b"\0" * 4096])
def test_a_whole_line_that_is_no_mapping_is_an_error_for_its_owner(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert list(newest_json_lines(path)) == [{"a": 2}, {"a": 1}]
    with pytest.raises(CobraError, match=r"a.jsonl:2: .*\n +Something else wrote"):
        read_json_lines(path)


def test_lines_are_added_to_a_file_of_the_folder_alone(tmp_path: Path) -> None:
    diary, pipe = tmp_path / "diary", tmp_path / "pipe.jsonl"
    diary.write_text("dear diary", "utf-8")
    (tmp_path / "a.jsonl").symlink_to(diary)
    os.mkfifo(pipe)
    for path, words in ((tmp_path / "a.jsonl", "a link"), (pipe, "a named pipe"), (tmp_path, "a folder")):
        with pytest.raises(CobraError, match=f"is {words}, not a file to add lines to"):
            append_json_lines(path, [{"a": 1}])
        with pytest.raises(CobraError, match=f"is {words}, not a file to add lines to"):
            cut_torn_line(path)
    assert diary.read_text("utf-8") == "dear diary"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    assert list(newest_json_lines(path)) == []
    with pytest.raises(CobraError, match="is a named pipe, not a file"):
        read_json_lines(path)


def test_what_a_full_disk_took_of_a_line_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    append_whole(path, b"first\n")
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(content[:3]))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        append_whole(path, b"second\n")
    assert path.read_bytes() == b"first\n"
