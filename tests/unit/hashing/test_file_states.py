"""Hashes of files are those of the contents now, whatever was remembered and however unlucky the times are."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import time

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Progress
from cobra_kit.hashing import HashCache, contents, file_states


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    for number in range(300):
        (tmp_path / "files" / f"{number}.png").write_bytes(b"content %d" % number)
    return tmp_path / "files"


@pytest.fixture
def later(monkeypatch):
    """Moves the clock on, so that files written just now count as left alone."""
    now = time.time_ns
    monkeypatch.setattr(contents.time, "time_ns", lambda: now() + 10_000_000_000)


@pytest.fixture
def reads(monkeypatch):
    """The paths that are read, not only looked at."""
    seen = []
    real = contents._read
    monkeypatch.setattr(contents, "_read", lambda path: seen.append(os.path.basename(path)) or real(path))
    return seen


def states(folder, cache, **options):
    names = sorted(os.listdir(folder))
    return file_states(folder, names, remembered=HashCache(cache), **options)


def test_a_state_is_the_sha256_of_the_content(folder):
    expected = {f"{i}.png": "sha256:" + hashlib.sha256(b"content %d" % i).hexdigest() for i in range(300)}
    assert file_states(folder, list(expected)) == expected


def test_the_second_time_nothing_is_read(folder, tmp_path, later, reads):
    first = states(folder, tmp_path / "cache.json")
    assert len(reads) == 300
    assert states(folder, tmp_path / "cache.json") == first
    assert len(reads) == 300


def test_a_file_written_a_moment_ago_is_read_again(folder, tmp_path, reads):
    """Its next change might fall into the same tick of the file system's clock."""
    states(folder, tmp_path / "cache.json")
    states(folder, tmp_path / "cache.json")
    assert len(reads) == 600


def test_a_replaced_file_of_one_size_with_its_time_restored_is_noticed(folder, tmp_path, later):
    first, old = states(folder, tmp_path / "cache.json"), os.stat(folder / "7.png")
    with open(folder / "7.png", "r+b") as file:  # the same inode
        file.write(b"CONTENT")
    os.utime(folder / "7.png", ns=(old.st_atime_ns, old.st_mtime_ns))
    second = states(folder, tmp_path / "cache.json")
    assert {name for name in first if first[name] != second[name]} == {"7.png"}


def test_a_moved_file_in_its_place_is_noticed(folder, tmp_path, later):
    first = states(folder, tmp_path / "cache.json")
    os.replace(folder / "8.png", folder / "7.png")
    assert states(folder, tmp_path / "cache.json")["7.png"] == first["8.png"]


def test_a_file_that_is_being_written_is_read_until_it_rests(folder, monkeypatch):
    real, changes = contents._content, [b"half", b"whole!"]

    def written(descriptor, size):
        text = real(descriptor, size)
        if changes:
            (folder / "7.png").write_bytes(changes.pop(0))
        return text

    monkeypatch.setattr(contents, "_content", written)
    assert file_states(folder, ["7.png"])["7.png"] == "sha256:" + hashlib.sha256(b"whole!").hexdigest()


def test_what_is_no_file_has_a_state(folder, tmp_path):
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder / "loop")
    with open(folder / "giant", "wb") as file:
        file.truncate(5 << 40)
    names = ["gone", "sub", "pipe", "loop", "a\0b", "\ud800", "0.png/x", "x" * 300]
    assert list(file_states(folder, names).values()) == [
        "missing",
        "no regular file",
        "no regular file",
        "unreadable: ELOOP",
        "missing: no file can have this name",
        "missing: no file can have this name",
        "missing",
        "unreadable: ENAMETOOLONG",
    ]
    assert file_states(folder, ["giant"])["giant"].startswith("too large: ")


def test_names_that_are_not_utf_8_are_remembered(folder, tmp_path, later, reads):
    with open(os.fsencode(folder) + b"/\xe9.png", "wb") as file:
        file.write(b"x")
    first = states(folder, tmp_path / "cache.json")
    assert first["\udce9.png"] == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert states(folder, tmp_path / "cache.json") == first
    assert len(reads) == 301


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content.replace(b"sha256:", b"sha256:0", 1),
        lambda content: _signed(b"[" * 100_000),
        lambda content: _signed(b"[1, 2]"),
        lambda content: _signed(b'{"0.png": 7}'),
    ],
)
def test_a_damaged_cache_counts_as_empty(folder, tmp_path, later, reads, damage):
    first, cache = states(folder, tmp_path / "cache.json"), tmp_path / "cache.json"
    cache.write_bytes(damage(cache.read_bytes()))
    assert states(folder, cache) == first
    assert len(reads) == 600


def _signed(body):
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_a_cache_that_cannot_be_written_is_told(folder, tmp_path, later):
    (tmp_path / "file").touch()
    events = []
    assert len(states(folder, tmp_path / "file" / "cache.json", report=events.append)) == 300
    (message,) = [event for event in events if isinstance(event, Message)]
    assert message.text.startswith("image hashes are not kept, so the next run reads every image again: ")


def test_the_cache_is_bounded(folder, tmp_path, later, monkeypatch):
    monkeypatch.setattr("cobra_kit.hashing.remembered.MOST_RECORDS", 100)
    monkeypatch.setattr("cobra_kit.hashing.remembered.MOST_FOLDERS", 2)
    for number in range(4):
        states(folder, tmp_path / "caches" / f"{number}.json")
        os.utime(tmp_path / "caches" / f"{number}.json", (number + 1, number + 1))
    states(folder, tmp_path / "caches" / "5.json")
    kept = sorted(file.name for file in (tmp_path / "caches").iterdir())
    assert kept == ["3.json", "5.json"]
    assert len(json.loads((tmp_path / "caches" / "5.json").read_bytes()[65:])) == 100


def test_progress_is_told(folder):
    events = []
    file_states(folder, sorted(os.listdir(folder)), report=events.append)
    assert [(e.task, e.done, e.total, e.unit) for e in events if isinstance(e, Progress)] == [
        ("hashing images", done, 300, "images") for done in (128, 256, 300)
    ]


def test_no_file_handle_left_is_no_state_of_a_file(folder):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = os.dup(0)
    os.close(low)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, limits[1]))
        with pytest.raises(CobraError, match=r"\.png: cannot be read: Too many open files\n.*ulimit -n"):
            file_states(folder, ["1.png"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
