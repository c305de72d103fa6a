"""Optuna's journal file, safe against workers that are killed and disks that fill up.

Optuna's own file backend leaves two things behind when a process dies at the wrong moment: its lock, which then holds
everybody up for half a minute, and half a line, which makes the journal unreadable as soon as the next line is
written. The file's form is Optuna's, so any tool of its kind opens it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from cobra_kit.files import append_whole, cut_torn_line
from cobra_kit.trials.optuna_internals import journal_lines
from cobra_kit.trials.storage_error import StorageError


def journal_backend(path: Path) -> JournalFileBackend:
    """Returns the backend of a journal file, which is made.

    Raises:
        StorageError: The file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _Journal(str(path), _KernelLock(path))
    except OSError as error:
        raise StorageError(f"cannot keep trials here: {error.strerror or error}", where=str(path)) from error


class _Journal(JournalFileBackend):
    """Appends whole lines or nothing."""

    def __init__(self, path: str, lock: _KernelLock) -> None:
        super().__init__(path, lock)
        self._path, self._own_lock = Path(path), lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._own_lock.acquire()
        try:
            # Under the lock nobody writes: half a line is what a killed worker left, and would spoil the next one.
            cut_torn_line(self._path)
            try:
                append_whole(self._path, journal_lines(logs))
            except OSError as error:  # a full disk, say: nothing of these lines stays
                raise StorageError(
                    f"a trial cannot be recorded: {error.strerror or error}",
                    where=str(self._path),
                    hint="Make room on the disk and give the same command again; finished work is kept.",
                ) from error
        finally:
            self._own_lock.release()


class _KernelLock(JournalFileSymlinkLock):
    """A lock that dies with its process; Optuna's own, which it extends, where the file system has none."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._flock_file = path.with_name(f"{path.name}.flock")
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        try:
            import fcntl

            descriptor = os.open(self._flock_file, os.O_RDWR | os.O_CREAT, 0o666)
        except ImportError:  # not a POSIX system
            return super().acquire()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a network file system without locks
            os.close(descriptor)
            return super().acquire()
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is None:
            super().release()
            return
        descriptor, self._descriptor = self._descriptor, None
        os.close(descriptor)
