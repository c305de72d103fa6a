"""A JSONL file that grows batch by batch and survives a kill: a line is whole or it is not there."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError
from cobra_kit.files import json_bytes


def read_whole_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a file; a last one that was cut short is removed from the file. None: no lines.

    Raises:
        CobraError: A line that was written whole is not a JSON mapping.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    lines = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError("not a mapping")
        except (ValueError, RecursionError) as error:
            raise CobraError(
                f"not a line of JSON: {error}",
                where=f"{path}:{number}",
                hint="Something else wrote to this file. Delete it; it is made again.",
            ) from error
        lines.append(value)
    return lines


def append_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Adds lines in one write and flushes them to the disk.

    Raises:
        CobraError: The file cannot be written; what was there before stays.
    """
    content = b"".join(json_bytes(line) + b"\n" for line in lines)
    if not content:
        return
    try:
        with open(path, "ab", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            try:
                _write_all(file.fileno(), content)
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise CobraError(
            f"cannot write: {error.strerror or error}",
            where=str(path),
            hint="Make room on the disk and give the same command again; it goes on where it stopped."
            if full
            else f"Check that {path.parent} is a folder you may write to.",
        ) from error


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
