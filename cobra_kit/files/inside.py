"""Names that stand in files: whatever one says, the path that comes of it stays in its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile, UnreadableFile, kind_of

_LONGEST_NAME, _LONGEST_PATH = 255, 1024
_SHOWN = 60
_HINT = "Name a file within {folder}; nothing outside it was read or written."


def inside(folder: Path, name: Any, source: Path, *, hint: str | None = None) -> Path:
    """Returns the path of a file within a folder, by a name that stands in some file.

    Args:
        folder: Where the name starts; the folder itself may be a link.
        name: As it was read, of any type; parts are separated by `/`.
        source: The file that names it, for the error.
        hint: What to do about it; None: to name another.

    Raises:
        DamagedFile: The name is no text, is empty, absolute, too long, holds `..` or control characters, or leads out
            of the folder over a link.
    """
    problem = _problem(name)
    path = folder / name if problem is None else folder
    if problem is None and leaves(folder, path):
        problem = "leads out of the folder over a link"
    if problem is None:
        return path
    shown = repr(name[:_SHOWN]) if isinstance(name, str) else kind_of(name)
    raise DamagedFile(source, f"names {shown} as a file, which {problem}", hint or _HINT.format(folder=folder))


def leaves(folder: Path, path: Path) -> bool:
    """Returns whether a path, with all links followed, lies outside a folder; links that lead in a circle do."""
    try:
        root, place = os.path.realpath(folder), os.path.realpath(path)
        return os.path.commonpath([root, place]) != root
    except (OSError, ValueError):  # on Windows: another drive
        return True


def refuse_links_out(folder: Path, levels: int) -> None:
    """Refuses a folder in which a link leads out of it: what is written there later would be written elsewhere.

    Args:
        folder: The folder itself may be a link, and need not exist.
        levels: How deep to look; 1: only what stands in the folder itself.

    Raises:
        UnreadableFile: It holds such a link; names it.
    """
    _refuse_links_out(folder, folder, levels)


def _refuse_links_out(root: Path, folder: Path, levels: int) -> None:
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError:  # not there, or not to be read: whoever writes there says so
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() and leaves(root, path):
            raise UnreadableFile(
                path,
                f"is a link that leads out of {root}, so nothing is written there",
                "Put what it leads to in its place, or keep the whole study elsewhere with --out.",
            )
        if levels > 1 and entry.is_dir(follow_symlinks=False):
            _refuse_links_out(root, path, levels - 1)


def _problem(name: Any) -> str | None:
    if not isinstance(name, str):
        return "is no name"
    if not name.strip("./ "):
        return "names nothing"
    if not name.isprintable():
        return "holds control characters"
    if len(name) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in name.split("/")):
        return "is too long"
    path = Path(name)
    if path.is_absolute() or path.drive:
        return "is not within the folder"
    return "leaves the folder" if ".." in path.parts else None
