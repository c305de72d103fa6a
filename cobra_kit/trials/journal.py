"""Optuna's journal file, safe against workers that are killed and disks that fill up.

Optuna's own file backend leaves two things behind when a process dies at the wrong moment: its lock, which then holds
everybody up for half a minute, and half a line, which makes the journal unreadable as soon as the next line is
written. The file's form is Optuna's, so any tool of its kind opens it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.storages.journal._file import BaseJournalFileLock

from cobra_kit.files import append_whole, cut_torn_line
from cobra_kit.trials.storage import StorageError


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

    def __init__(self, path: str, lock: BaseJournalFileLock) -> None:
        super().__init__(path, lock)
        self._path, self._own_lock = Path(path), lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._own_lock.acquire()
        try:
            cut_torn_line(self._path)
            try:
                append_whole(
                    self._path, "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
                )
            except OSError as error:  # a full disk, say: nothing of these lines stays
                raise StorageError(
                    f"a trial cannot be recorded: {error.strerror or error}",
                    where=str(self._path),
                    hint="Make room on the disk and give the same command again; finished work is kept.",
                ) from error
        finally:
            self._own_lock.release()


class _KernelLock(BaseJournalFileLock):
    """A lock that dies with its process; Optuna's own where the file system has none."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.flock")
        self._fallback = JournalFileSymlinkLock(str(path))
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        try:
            import fcntl

            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except ImportError:  # not a POSIX system
            return self._fallback.acquire()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a network file system without locks
            os.close(descriptor)
            return self._fallback.acquire()
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is None:
            self._fallback.release()
            return
        descriptor, self._descriptor = self._descriptor, None
        os.close(descriptor)


def _line(log: dict[str, Any]) -> str:
    return json.dumps(log, separators=(",", ":")) + "\n"
