"""The state of every file of a folder: a hash of its content, or why it has none.

A file whose inode, size and both times are those of an earlier hash is not read again. The time of the last change
(ctime) is among them because no program sets it back: a file that was replaced by one of the same size, with its
modification time restored (`cp -p`, `rsync -t`, `tar`), shows there. Times are only as fine as the file system's clock,
so a hash is remembered only if the file had been left alone for two seconds before it was read; git keeps the same
guard against "racily clean" files.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cobra_kit.errors import SHORTAGE_HINT, CobraError, is_shortage
from cobra_kit.events import Progress, Reporter, silent
from cobra_kit.hashing.remembered import HashCache

MOST_BYTES = 1 << 30
"""Bytes of a file beyond which it is no image: more than the raw pixels of the largest that Pillow decodes unasked."""

_THREADS = 16  # more than the cores: reading from a network disk is mostly waiting
_AT_ONCE = 128
_BLOCK = 1 << 20
_SETTLED = 2_000_000_000  # nanoseconds: the coarsest clock among file systems in use (FAT)
_TRIES = 3
_CONTENT = "sha256:"
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class _State(NamedTuple):
    """The state of a file now, and the record to keep of it; None where nothing may be kept."""

    text: str
    record: str | None


def content_state(content: bytes) -> str:
    """Returns the state of a file with this content."""
    return f"{_CONTENT}{hashlib.sha256(content).hexdigest()}"


def is_content(state: str) -> bool:
    """Returns whether a state is that of a file that could be read."""
    return state.startswith(_CONTENT)


def file_states(
    folder: Path,
    names: Sequence[str],
    *,
    remembered: HashCache | None = None,
    report: Reporter = silent,
    task: str = "hashing images",
    unit: str = "images",
) -> dict[str, str]:
    """Returns the state of some files, by name: `sha256:..` of the content, or why there is none.

    Args:
        folder: The folder that names start from.
        names: Paths within the folder; one that no file system can hold has a state too.
        remembered: Hashes of earlier runs, to be used and added to; None: every file is read.
        report: Told about progress.
        task: What is done, as a user reads it.
        unit: What is counted, in the plural, as a user reads it.

    Raises:
        CobraError: The system has no memory or no file handles left; that is no state of a file.
    """
    known: Mapping[str, str] = {} if remembered is None else remembered.records
    start, batches = str(folder), [names[i : i + _AT_ONCE] for i in range(0, len(names), _AT_ONCE)]

    def look_at(batch: Sequence[str]) -> list[_State]:
        return [_state(os.path.join(start, name), known.get(name)) for name in batch]

    states: dict[str, str] = {}
    records: dict[str, str] = {}
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for batch, batch_states in zip(batches, pool.map(look_at, batches), strict=True):
            for name, state in zip(batch, batch_states, strict=True):
                states[name] = state.text
                if state.record is not None:
                    records[name] = state.record
            report(Progress(task=task, done=min(len(states), len(names)), total=len(names), unit=unit))
    finally:
        pool.shutdown(cancel_futures=True)
    if remembered is not None:
        remembered.keep(records, report)
    return states


def _state(path: str, record: str | None) -> _State:
    try:
        if record is not None:
            head, _, state = record.partition(" ")
            if head == _identity(os.stat(path)):
                return _State(state, record)
        return _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return _State("missing", None)
    except ValueError:  # a NUL, or characters that no file name has
        return _State("missing: no file can have this name", None)
    except OSError as error:
        if is_shortage(error):
            raise CobraError(f"cannot be read: {error.strerror}", where=path, hint=SHORTAGE_HINT) from error
        return _State(f"unreadable: {errno.errorcode.get(error.errno or 0, 'unknown')}", None)


def _read(path: str) -> _State:
    """Hashes a file; of one that is being written meanwhile, what it held at the last of a few tries."""
    text = ""
    for _ in range(_TRIES):
        descriptor = os.open(path, _FLAGS)  # not blocking: a named pipe is answered at once, too
        try:
            before, started = os.fstat(descriptor), time.time_ns()
            if not stat.S_ISREG(before.st_mode):
                return _State("no regular file", None)
            if before.st_size > MOST_BYTES:
                return _State(f"too large: {_identity(before)}", None)
            text = _content(descriptor, before.st_size)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if _identity(before) == _identity(after):
            settled = started - _last_change(before) > _SETTLED
            return _State(text, f"{_identity(before)} {text}" if settled else None)
    return _State(text, None)


def _content(descriptor: int, size: int) -> str:
    digest = hashlib.sha256()
    while block := os.read(descriptor, min(max(size + 1, 4096), _BLOCK)):
        digest.update(block)
    return f"{_CONTENT}{digest.hexdigest()}"


def _identity(seen: os.stat_result) -> str:
    # Not the device: its number changes when network and overlay file systems are mounted anew.
    return f"{seen.st_ino}-{seen.st_size}-{seen.st_mtime_ns}-{seen.st_ctime_ns}"


def _last_change(seen: os.stat_result) -> int:
    return seen.st_mtime_ns if os.name == "nt" else seen.st_ctime_ns  # Windows' ctime is that of the creation
