"""One process at a time; the lock of a killed process is gone with it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cobra_kit.errors import CobraError

_IN_ITS_PLACE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
"""What opening a lock file says where a link, a folder or a socket is."""


@contextmanager
def locked(path: Path, waiting: Callable[[], None], *, shared: bool = False) -> Iterator[bool]:
    """Holds a lock on a file for the length of a block.

    Args:
        path: The lock file; it is made, and stays.
        waiting: Called once if another process holds the lock, before waiting for it.
        shared: Whether others may hold it at the same time, if they also only share it.

    Yields:
        Whether the lock is held: file systems and platforms without locks yield False, and callers must then be
        content with renaming their work into place.

    Raises:
        CobraError: A link or a folder stands where the lock file should be.
        OSError: The lock file cannot be made.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield False
        return
    descriptor = open_lock_file(path)
    try:
        # Not lockf: its locks are a process's, and closing any descriptor of the file anywhere in it would drop them.
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        yield _acquire(descriptor, waiting, fcntl.flock, kind, fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def open_lock_file(path: Path) -> int:
    """Returns a descriptor of a lock file, which is made where it is missing.

    Raises:
        CobraError: A link or a folder stands in its place.
        OSError: It cannot be made.
    """
    try:
        # Not through a link: a lock file that leads elsewhere would make a file there.
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in _IN_ITS_PLACE:
            raise CobraError(
                "something else stands in place of a lock file", where=str(path), hint="Delete it."
            ) from error
        raise


def is_locked(path: Path) -> bool | None:
    """Returns whether another process holds a lock on a file at this moment; None where that cannot be told.

    Nothing is written: a file that is not there is locked by nobody.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not hold us up
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _acquire(
    descriptor: int, waiting: Callable[[], None], flock: Callable[[int, int], None], kind: int, at_once: int
) -> bool:
    try:
        flock(descriptor, kind | at_once)
    except BlockingIOError:
        waiting()
        flock(descriptor, kind)
    except OSError:  # such as a network file system without locks
        return False
    return True
