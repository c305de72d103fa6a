"""Files of JSON lines that grow and survive a kill: a line is whole, its line end included, or it does not count.

Reading changes nothing, whatever the file is. Only whoever appends to a file of its own cuts off what a killed process
left of a last line.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError, DamagedFile, UnreadableFile
from cobra_kit.files.checksums import CHECKSUM, has_checksum, with_checksum
from cobra_kit.files.reading import as_mapping, parse_json, read_small
from cobra_kit.files.writing import json_bytes, kind_of_place

LINES_BYTES = 1 << 30
"""The most that a file of lines holds: millions of answers."""

_BLOCK = 1 << 16
_HINT = "Something else wrote to this file. Delete it; it is made again."


def read_json_lines(path: Path, *, hint: str = _HINT) -> list[dict[str, Any]]:
    """Returns the whole lines of a file; a last one that was cut short does not count. No file: no lines.

    Args:
        path: The file; it stays as it is.
        hint: What to do about a damaged file.

    Raises:
        DamagedFile: A line that was written whole is not a JSON mapping, or the file is no regular one.
        UnreadableFile: It cannot be read now.
    """
    try:
        content = read_small(path, LINES_BYTES, hint=hint)
    except FileNotFoundError:
        return []
    lines, are_checked = [], False
    for number, line in enumerate(_whole_lines(content), start=1):
        mapping, is_checked = _mapping(line, f"{path}:{number}", hint)
        if are_checked and not is_checked:  # an older version wrote none, but nobody stops writing them
            raise DamagedFile(f"{path}:{number}", "has no checksum, and the line before it has one", hint)
        lines.append(mapping)
        are_checked = is_checked
    return lines


def newest_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of a file that another process may be writing, the last one first, and changes nothing.

    What is not a whole mapping is left out; a file that cannot be read has no lines.
    """
    try:
        content = read_small(path, LINES_BYTES)
    except (OSError, UnreadableFile):
        return
    for line in reversed(_whole_lines(content)):
        try:
            yield _mapping(line, path, None)[0]
        except DamagedFile:
            continue


def append_json_lines(path: Path, lines: Iterable[Mapping[str, Any]], *, checksums: bool = False) -> None:
    """Adds lines in one write and flushes them to the disk; what a killed process left of a last line goes first.

    Args:
        path: The file; it is made where there is none.
        lines: The mappings to add, a line each.
        checksums: Whether each line carries a checksum, which reading checks and leaves out.

    Raises:
        CobraError: The file cannot be written, or is a link or no regular file; what was there before stays.
    """
    plain = map(json_bytes, lines)
    content = b"".join((with_checksum(line) if checksums else line) + b"\n" for line in plain)
    if not content:
        return
    try:
        cut_torn_line(path)
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
        content: The bytes to add.
        sync: Whether to wait until they are on the disk.

    Raises:
        OSError: The bytes cannot be written.
        DamagedFile: The path is a link, or no regular file.
    """
    _is_there(path)
    # Unbuffered: what a buffer still held after a full disk would be written by a later flush, in the wrong place.
    with open(path, "ab", buffering=0, opener=_opened) as file:
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
    """Removes what a killed process left of a last line; for the process alone that appends to the file.

    Raises:
        OSError: The file cannot be read or cut.
        DamagedFile: The path is a link, or no regular file.
    """
    if not _is_there(path):
        return
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


def _is_there(path: Path) -> bool:
    """Returns whether there is a file to add to, and refuses what is no regular file of its folder.

    Raises:
        DamagedFile: A link stands there, or a folder, a pipe, a device.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        words = "a link" if stat.S_ISLNK(mode) else kind_of_place(mode)
        raise DamagedFile(path, f"is {words}, not a file to add lines to", "Move it away; the file is made again.")
    return True


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _whole_lines(content: bytes) -> list[bytes]:
    return content[: content.rfind(b"\n") + 1].splitlines()


def _mapping(line: bytes, where: Path | str, hint: str | None) -> tuple[dict[str, Any], bool]:
    """Returns a line's mapping without its checksum, and whether it had one."""
    try:
        is_checked = has_checksum(line)
    except ValueError as error:
        raise DamagedFile(where, str(error), hint) from error
    mapping = as_mapping(parse_json(line, where, nan=True, hint=hint), where, hint=hint)
    if is_checked:
        del mapping[CHECKSUM]
    return mapping, is_checked
