"""Folders that are whole or absent: filled beside their place, then renamed; and what a folder holds."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cobra_kit.files.writing import sync_folder

HIDDEN = ".{name}.{mark}.tmp"
"""The name of a folder that is being filled, as `folder_beside` has it where nothing else is asked for."""

_CLUTTER = frozenset(
    {
        ".directory",
        ".ds_store",
        ".fseventsd",
        ".localized",
        ".spotlight-v100",
        ".trashes",
        "$recycle.bin",
        "@eadir",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)


def contents(folder: Path) -> list[str]:
    """Returns the names in a folder, sorted, without what file managers and file systems put into any folder.

    A folder that holds nothing else is empty, as far as anybody who looks into it can see.
    """
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name.lower() not in _CLUTTER and not entry.name.startswith("._")
    )


@contextmanager
def folder_beside(path: Path, names: str = HIDDEN) -> Iterator[Path]:
    """Yields an empty folder beside `path`, to be filled and then put there; it is removed if it still is there.

    A killed process leaves the folder behind, under a name that is not `path`'s; see `remove_leftovers`.

    Args:
        path: The place to be; folders above it are made.
        names: How the folder is called, with `{name}` of the place and a `{mark}` that is this process's own.
    """
    # Not tempfile: its folders are readable by their owner only, and what is made here is often shared.
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(names.format(name=path.name, mark=mark))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_folder(new: Path, path: Path) -> None:
    """Moves a finished folder to its place.

    Raises:
        OSError: It cannot be moved, or something is there already: another process may have been faster.
    """
    os.rename(new, path)
    sync_folder(path.parent)


def replace_folder(new: Path, path: Path) -> None:
    """Moves a finished folder to its place, and removes what was there before; that comes back if the move fails.

    Raises:
        OSError: The new folder cannot be moved there.
    """
    # No system replaces a folder that holds something in one step: for a moment nothing is at `path`, never a half.
    for folder in (new, *(entry for entry in new.rglob("*") if entry.is_dir())):
        sync_folder(folder)
    old = new.with_name(f"{new.name.removesuffix('.tmp')}.old.tmp")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(path: Path, names: str = HIDDEN, *, unchanged_seconds: float = 0.0) -> None:
    """Removes what killed processes left beside a place.

    Args:
        path: The place, see `folder_beside`.
        names: How the folders are called.
        unchanged_seconds: How long nothing in one must have changed: without a lock its owner may be at work.
    """
    pattern = names.format(name=glob.escape(path.name), mark="*")
    for leftover in path.parent.glob(pattern):
        if unchanged_seconds:
            try:
                newest = max(entry.stat().st_mtime for entry in (leftover, *leftover.rglob("*")))
            except FileNotFoundError:
                continue  # its owner has just finished
            if time.time() - newest <= unchanged_seconds:
                continue
        shutil.rmtree(leftover, ignore_errors=True)
