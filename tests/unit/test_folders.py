"""Folders that are whole or absent, and what killed processes leave beside them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cobra_kit.files import folder_beside, put_folder, remove_leftovers, replace_folder


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    place = tmp_path / "above" / "place"
    with folder_beside(place) as temporary:
        (temporary / "file").touch()
        assert not place.exists()
        assert temporary.parent == place.parent
        put_folder(temporary, place)
    assert names(tmp_path / "above") == ["place"]
    assert names(place) == ["file"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "file").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), folder_beside(tmp_path / "place") as temporary:
        fail(temporary)
    assert names(tmp_path) == []


def test_what_is_there_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    with folder_beside(place) as temporary:
        (temporary / "new").touch()
        with pytest.raises(OSError, match="place"):
            put_folder(temporary, place)
        assert names(place) == ["old"]
        replace_folder(temporary, place)
    assert names(tmp_path) == ["place"]
    assert names(place) == ["new"]


def test_what_was_there_comes_back_where_the_new_folder_cannot_be_moved(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(OSError, match="missing"):
        replace_folder(tmp_path / ".missing.tmp", place)
    assert names(tmp_path) == ["place"]
    assert names(place) == ["old"]


def test_leftovers_go_away_once_nobody_works_on_them(tmp_path: Path) -> None:
    place = tmp_path / "a[1]"
    for name in (".a[1].9-dead.tmp", ".a1.9-dead.tmp", "a[1].partial-old", "a[1].partial-new"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / "a[1].partial-old", (time.time() - 100,) * 2)
    remove_leftovers(place, "{name}.partial-{mark}", unchanged_seconds=50)
    assert names(tmp_path) == [".a1.9-dead.tmp", ".a[1].9-dead.tmp", "a[1].partial-new"]
    remove_leftovers(place)
    assert names(tmp_path) == [".a1.9-dead.tmp", "a[1].partial-new"]
