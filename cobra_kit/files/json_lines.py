"""Files of JSON lines that grow and survive a kill: a line is whole, its line end included, or it does not count."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError
from cobra_kit.files.writing import json_bytes

_BLOCK = 1 << 16


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a file; a last one that was cut short is removed from the file. No file: no lines.

    Raises:
        CobraError: A line that was written whole is not a JSON mapping.
    """
    if not path.exists():
        return []
    cut_torn_line(path)
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            lines.append(_mapping(line))
        except (ValueError, RecursionError) as error:
            raise CobraError(
                f"not a line of JSON: {error}",
                where=f"{path}:{number}",
                hint="Something else wrote to this file. Delete it; it is made again.",
            ) from error
    return lines


def newest_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of a file that another process may be writing, the last one first, and changes nothing.

    What is not a whole mapping is left out; a file that cannot be read has no lines.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in reversed(content[: content.rfind(b"\n") + 1].splitlines()):
        try:
            yield _mapping(line)
        except (ValueError, RecursionError):
            continue


def append_json_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Adds lines in one write and flushes them to the disk.

    Raises:
        CobraError: The file cannot be written; what was there before stays.
    """
    content = b"".join(json_bytes(line) + b"\n" for line in lines)
    if not content:
        return
    try:
        append_whole(path, content)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise CobraError(
            f"cannot write: {error.strerror or error}",
            where=str(path),
            hint="Make room on the disk and give the same command again; it goes on where it stopped."
            if full
            else f"Check that {path.parent} is a folder you may write to.",
        ) from error


def append_whole(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Adds bytes to the end of a file, all of them or none.

    Args:
        path: The file; it is made where there is none.
        content: What is added.
        sync: Whether to wait until they are on the disk.

    Raises:
        OSError: They cannot be written.
    """
    # Unbuffered: what a buffer still held after a full disk would be written by a later flush, in the wrong place.
    with open(path, "ab", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(file.fileno(), view) :]
            if sync:
                os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), end)
            raise


def cut_torn_line(path: Path) -> None:
    """Removes what a killed process left of a last line."""
    # Opened for reading only: a file without a torn line may be one that nobody may write.
    with path.open("rb") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
    if end < size:
        os.truncate(path, end)


def _mapping(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    return value
