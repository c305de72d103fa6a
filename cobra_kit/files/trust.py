"""Checks that nobody else could have put a file where it lies: code to be loaded must be this user's, or root's."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWN_FOLDER = "set COBRA_KIT_CACHE to a folder of your own"


@dataclass(frozen=True, slots=True)
class Distrust:
    """The reason why nothing at a place may be run.

    Args:
        reason: Which folder or file somebody else can change.
        remedy: What helps: a command where there is one.
    """

    reason: str
    remedy: str


def distrust(path: Path, *, whole_tree: bool = False) -> Distrust | None:
    """Returns why somebody else could change what lies at a path, or None where only this user and root can.

    Links are followed first. The file or folder itself and every folder above it must belong to this user or to root
    and be writable by nobody else; above it, a folder where each may remove their own files only (`/tmp`) will do.
    What does not exist yet is as safe as the folder that it would be made in.

    Args:
        path: A file or a folder.
        whole_tree: Look at everything within the folder too.
    """
    if not hasattr(os, "getuid"):
        return None  # Windows: whose a folder is, its mode does not tell
    real = Path(os.path.realpath(path))
    places = [real, *real.parents, *(_within(real) if whole_tree else ())]
    problems: list[tuple[Path, str, bool]] = []
    for place in places:
        try:
            status = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return Distrust(f"{place} cannot be looked at ({error.strerror or error})", _OWN_FOLDER)
        above = place in real.parents
        if (reason := _reason(place, status, above=above)) is not None:
            problems.append((place, reason, status.st_uid == os.getuid()))
    if not problems:
        return None
    if not all(owned and reason.endswith(_WRITABLE) for _, reason, owned in problems):
        return Distrust(problems[0][1], _OWN_FOLDER)
    # One line for all of them: whoever follows it must not be told of the next folder then.
    outside = [str(place) for place, *_ in problems if place == real or place in real.parents]
    inside = ["chmod", "-R", "go-w", str(real)] if len(problems) > len(outside) else []
    commands = [shlex.join(words) for words in (inside, ["chmod", "go-w", *outside] if outside else []) if words]
    return Distrust(problems[0][1], " && ".join(commands))


def make_private(folder: Path) -> None:
    """Makes a folder, and those above it that are missing, for this user alone, whatever the umask.

    Raises:
        OSError: The folder cannot be made.
    """
    if folder.is_dir():
        return
    make_private(folder.parent)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:  # a file, or a link to nothing
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


_WRITABLE = "can be written by others"


def _reason(place: Path, status: os.stat_result, *, above: bool) -> str | None:
    if status.st_uid not in (os.getuid(), 0):
        return f"{place} belongs to another user ({status.st_uid})"
    if stat.S_ISLNK(status.st_mode):
        return None  # its mode says nothing; only within a tree, where what it leads to is somewhere else
    shared = status.st_mode & _OTHERS_WRITE
    if shared and not (above and status.st_mode & stat.S_ISVTX):
        return f"{place} {_WRITABLE}"
    return None


def _within(folder: Path) -> list[Path]:
    # What nobody else can reach needs no look: then modes within do not matter.
    try:
        if not folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH):
            return []
    except OSError:
        return []
    return [Path(parent, name) for parent, folders, files in os.walk(folder) for name in (*folders, *files)]
