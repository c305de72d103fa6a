"""The faults of a study's folder itself, where work in it fails: it is gone, or cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.study.folder import MANIFEST

_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(slots=True)
class FolderWatch:
    """A note of whether the study was there at all; its absence means something only then."""

    opened: bool = False


@contextmanager
def folder_faults(path: Path) -> Iterator[FolderWatch]:
    """Tells of an error within the block what it comes from, where that is the folder.

    A folder that was deleted fails wherever a process happens to write next, or nowhere: what writes makes its parent
    folders, too, so that the end of a study may be all that is left of it.

    Args:
        path: The study's folder.

    Yields:
        What is to be told that the study is there.

    Raises:
        CobraError: The folder was deleted or moved within the block, or it cannot be written.
    """
    watch = FolderWatch()
    try:
        yield watch
    except Exception as error:
        if watch.opened and not (path / MANIFEST).is_file():
            raise _gone(path) from error
        if (reason := _unwritable(error)) is not None and not os.access(
            path if path.is_dir() else path.parent, os.W_OK
        ):
            raise CobraError(
                f"the study cannot be written: {reason}",
                where=str(path),
                hint="Make it writable for this user, or choose another folder with --out. "
                "`cobra-kit status` and `report --out FILE` read it as it is.",
            ) from error
        raise
    if watch.opened and not (path / MANIFEST).is_file():
        raise _gone(path)


def _gone(path: Path) -> CobraError:
    return CobraError(
        "the study is gone: its folder was deleted or moved while this process worked in it",
        where=str(path),
        hint="Moved back, in place of what stands there now, it goes on with the same command.\n"
        "Without it, the same command starts it over.",
    )


def _unwritable(error: BaseException | None) -> str | None:
    """Returns the system's word for why something could not be written, from an error or what caused it."""
    for _ in range(10):
        if error is None:
            return None
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            return error.strerror or os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return None
