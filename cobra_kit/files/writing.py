"""Files that are whole or absent: written beside their place, flushed, then renamed."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields an empty file in the same folder to write to; on leaving, it takes the place of `path`.

    A reader sees the old file or the new one, never half of one, and so does whoever comes after a power cut.
    Whatever goes wrong, the old file stays as it was and the temporary one is removed.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        CobraError: The file cannot be written: no such folder, no permission, a full disk.
    """
    path = Path(path)
    # Not tempfile: its files are readable by their owner only, and a study folder is often shared.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors puts a file of its own there, which only its owner may read
        _sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise CobraError(f"cannot write: {error}", where=str(path), hint=_hint(error, path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all; see `atomic_write`."""
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def write_text(path: str | Path, content: str) -> None:
    """Writes `content` to `path` as UTF-8 with its line ends as they are; see `atomic_write`."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` to `path` as indented JSON, keys in their order; see `atomic_write`.

    Raises:
        ValueError: The value holds NaN or infinity, which JSON does not have.
        TypeError: The value holds something that JSON does not have.
    """
    write_bytes(path, json_bytes(value, indent=2) + b"\n")


def json_bytes(value: Any, *, indent: int | None = None) -> bytes:
    """Returns a value as JSON in UTF-8, characters as they are.

    Half of a surrogate pair, which stands for a byte of a file name that is not UTF-8, is written as JSON's escape of
    it and read back as it was.

    Raises:
        ValueError: The value holds NaN or infinity, which JSON does not have.
        TypeError: The value holds something that JSON does not have.
    """
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; some file systems (and Windows) cannot sync a folder."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _hint(error: OSError, path: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"Make room on the disk of {path.parent}; what was at {path.name} before is untouched."
    if error.errno == errno.ENOENT:
        return f"Create the folder {path.parent} first."
    return f"Check that {path.parent} is a folder you may write to."
