"""Optuna's journal file, safe against workers that are killed and disks that fill up.

Optuna's own file backend leaves two things behind when a process dies at the wrong moment: its lock, which then holds
everybody up for half a minute, and half a line, which makes the journal unreadable as soon as the next line is
written. The file's form is Optuna's, so any tool of its kind opens it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from cobra_kit.files import append_whole, cut_torn_line, damage_as, refuse_irregular, refuse_links_out
from cobra_kit.files.checksums import with_checksum
from cobra_kit.locks import open_lock_file
from cobra_kit.trials.journal_entries import journal_entry
from cobra_kit.trials.optuna_internals import checked_journal, journal_lines
from cobra_kit.trials.records import JOURNAL_HINT
from cobra_kit.trials.storage_error import StorageError

if TYPE_CHECKING:
    from optuna.storages import JournalStorage


_LONGEST_LINE = 64 << 20


def journal_storage(path: Path) -> JournalStorage:
    """Returns Optuna's storage over a journal file, which is made.

    Raises:
        StorageError: The file cannot be made, or is damaged.
    """
    try:
        refuse_links_out(path.parent, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = _Journal(path, _KernelLock(path))
    except OSError as error:
        raise StorageError(f"cannot keep trials here: {error.strerror or error}", where=str(path)) from error
    return checked_journal(journal, journal.damaged)


class _Journal(JournalFileBackend):
    """Appends whole lines or nothing, and hands out entries that are what somebody wrote."""

    def __init__(self, path: Path, lock: _KernelLock) -> None:
        _check_regular(path)
        super().__init__(str(path), lock)
        self._path, self._own_lock = path, lock
        self._read, self._lines, self._end = 0, 0, 0
        """Entries handed out, lines read for them, and the bytes of those."""
        self.last_worker: object = None

    def damaged(self, reason: Exception) -> StorageError:
        """Returns the error about the line that was handed out last."""
        return self._damaged(f"{type(reason).__name__} {reason}".strip(), self._lines)

    def _damaged(self, reason: str, line: int) -> StorageError:
        return StorageError(f"damaged: {' '.join(reason.split())}", where=f"{self._path}:{line}", hint=JOURNAL_HINT)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yields the entries from a number on; a last line that is cut short is still being written, or never was."""
        if log_number_from < self._read:
            self._read, self._lines, self._end = 0, 0, 0
        _check_regular(self._path)
        with open(self._path, "rb") as file:
            file.seek(self._end)
            while (line := file.readline(_LONGEST_LINE)).endswith(b"\n"):
                try:
                    entry = journal_entry(line)
                except ValueError as error:
                    raise self._damaged(str(error), self._lines + 1) from error
                self._read, self._lines, self._end = self._read + 1, self._lines + 1, self._end + len(line)
                if self._read > log_number_from:
                    self.last_worker = entry["worker_id"]
                    yield entry
            if len(line) == _LONGEST_LINE:
                raise self._damaged(f"longer than {_LONGEST_LINE:,} bytes", self._lines + 1)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._own_lock.acquire()
        try:
            # Under the lock nobody writes: half a line is what a killed worker left, and would spoil the next one.
            cut_torn_line(self._path)
            try:
                append_whole(self._path, b"".join(with_checksum(line) + b"\n" for line in journal_lines(logs)))
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

            descriptor = open_lock_file(self._flock_file)
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


def _check_regular(path: Path) -> None:
    """Refuses what is no file: a pipe would be waited for, and a device never ends."""
    with suppress(FileNotFoundError), damage_as(StorageError, JOURNAL_HINT):
        refuse_irregular(path.stat(), path)
