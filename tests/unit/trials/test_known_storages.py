"""The note of databases that this user gave: private, believed only where nobody else can have written it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cobra_kit.trials.known_storages import NOTE, remember_storage, remembered_storage

URL = "postgresql+psycopg://me@host/db"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_storage_is_remembered_for_its_folder_alone(tmp_path: Path, cache: Path) -> None:
    assert remembered_storage(tmp_path / "study") is None
    remember_storage(tmp_path / "study", URL)
    remember_storage(tmp_path / "other", "postgresql+psycopg://me:secret@host/db")
    assert remembered_storage(tmp_path / "study") == URL
    (tmp_path / "study").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "study")
    assert remembered_storage(tmp_path / "link") == URL
    assert remembered_storage(tmp_path / "other") == "postgresql+psycopg://me:***@host/db"
    assert remembered_storage(tmp_path / "third") is None
    assert (cache / NOTE).stat().st_mode & 0o777 == 0o600
    assert "secret" not in (cache / NOTE).read_text()
    assert [path.name for path in cache.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_note_that_others_may_write_is_not_believed(tmp_path: Path, cache: Path, mode: int) -> None:
    remember_storage(tmp_path, URL)
    (cache / NOTE).chmod(mode)
    assert remembered_storage(tmp_path) is None


def test_a_cache_that_others_may_write_holds_no_note(tmp_path: Path, cache: Path) -> None:
    remember_storage(tmp_path, URL)
    cache.chmod(0o777)
    assert remembered_storage(tmp_path) is None
    remember_storage(tmp_path / "other", URL)
    cache.chmod(0o700)
    assert remembered_storage(tmp_path / "other") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_note_of_another_user_is_not_believed(tmp_path: Path, cache: Path) -> None:
    remember_storage(tmp_path, URL)
    os.chown(cache / NOTE, 12345, 12345)
    assert remembered_storage(tmp_path) is None
    os.chown(cache / NOTE, 0, 0)
    os.chown(cache, 12345, 12345)
    assert remembered_storage(tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 50, b"[]", b'{"studies": 5}', b'{"studies": [1]}', b"[" * 100_000, b"\xff", b'{"x": 1}']
)
def test_a_damaged_note_is_none_and_is_written_again(tmp_path: Path, cache: Path, content: bytes) -> None:
    cache.mkdir(mode=0o700)
    (cache / NOTE).write_bytes(content)
    assert remembered_storage(tmp_path) is None
    remember_storage(tmp_path, URL)
    assert remembered_storage(tmp_path) == URL


def test_the_note_stays_small(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cobra_kit.trials.known_storages._MOST_STUDIES", 3)
    for number in range(5):
        remember_storage(tmp_path / str(number), URL)
    assert list(json.loads((cache / NOTE).read_text())["studies"]) == [str(tmp_path / name) for name in "234"]


def test_no_note_is_kept_in_a_working_directory_nor_in_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cobra_kit.files import caches_beneath

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COBRA_KIT_CACHE", "relative")
    remember_storage(tmp_path, URL)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("COBRA_KIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    with caches_beneath(tmp_path / "study" / "cache"):
        remember_storage(tmp_path, URL)
        assert remembered_storage(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
