"""Reads small files that anybody may have written: limits of size, depth and type, and one error that names the file.

Whatever stands in a file, reading it returns a value or raises; no FIFO is waited for, no device is opened, nothing is
written, and no text of brackets exhausts the stack.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cobra_kit.errors import SHORTAGE_HINT, CobraError, DamagedFile, UnreadableFile, is_shortage, kind_of
from cobra_kit.files.writing import kind_of_place

SMALL_BYTES = 16 << 20
"""The most that a small file holds: manifests, scores and locks are far below it. Parsed, it is some 30 times that."""

DEPTH = 100
"""How deep lists and mappings may be nested; Python's own parser gives up at a thousand, less the calls around it."""

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_DENSEST = 1000  # no file system packs text that well; a hole has nothing
_MOST_DIGITS = 100  # transformers writes integers of 31; Python refuses more than 4,300 with an error of its own


def read_small(path: Path, limit_bytes: int = SMALL_BYTES, *, hint: str | None = None) -> bytes:
    """Returns the content of a regular file.

    Args:
        path: The file; a link to one will do.
        limit_bytes: Larger files are refused, unread.
        hint: What to do about a damaged file.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It is no regular file, or too large.
        UnreadableFile: It cannot be read now, which says nothing about what is in it.
    """
    try:
        refuse_irregular(os.stat(path), path, hint)  # before it is opened: opening a device or a pipe has effects
        descriptor = os.open(path, _FLAGS)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            refuse_irregular(status, path, hint)
            _refuse_hole(status, path, hint)
            content = b"" if status.st_size > limit_bytes else file.read(limit_bytes + 1)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except ValueError as error:  # a NUL, or characters that no file name has
        raise UnreadableFile(path, f"no file can have this name ({error})", hint) from error
    except (OSError, MemoryError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            raise DamagedFile(path, "is a link that leads in a circle", hint) from error
        reason = getattr(error, "strerror", None) or "not enough memory"
        raise UnreadableFile(path, f"cannot be read: {reason}", _unreadable_hint(error)) from error
    if status.st_size > limit_bytes or len(content) > limit_bytes:
        size = max(status.st_size, len(content))
        raise DamagedFile(path, f"holds {size:,} bytes, more than the {limit_bytes:,} that such a file may have", hint)
    return content


def read_utf8(path: Path, limit_bytes: int = SMALL_BYTES, *, hint: str | None = None) -> str:
    """Returns the text of a file, line ends as they are and without a byte order mark; raises as `read_small` does.

    Raises:
        DamagedFile: It is not UTF-8, or holds NULs, as files do that a power cut left without their content.
    """
    return decode_utf8(read_small(path, limit_bytes, hint=hint), path, hint=hint)


def decode_utf8(content: bytes, where: Path | str, *, hint: str | None = None) -> str:
    """Returns the text that some bytes of a file are; raises as `read_utf8` does."""
    if b"\0" in content:
        held = "nothing but NUL bytes" if not content.strip(b"\0") else f"a NUL byte at {content.index(0):,}"
        raise DamagedFile(where, f"holds {held}: it was not written to its end", hint)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise DamagedFile(where, f"not UTF-8: byte {error.start:,} is {byte:#04x}", hint) from error


def read_json(
    path: Path,
    limit_bytes: int = SMALL_BYTES,
    *,
    depth: int = DEPTH,
    nan: bool = False,
    hint: str | None = None,
) -> Any:
    """Returns the value of a JSON file; raises as `read_small` and `parse_json` do.

    Args:
        path: The file to read.
        limit_bytes: Larger files are refused, unread.
        depth: How deep lists and mappings may be nested.
        nan: Whether NaN and infinity are values; only for files whose writer writes them.
        hint: What to do about a damaged file.
    """
    content = read_small(path, limit_bytes, hint=hint)
    return parse_json(content, path, depth=depth, nan=nan, hint=hint)


def read_mapping(
    path: Path,
    limit_bytes: int = SMALL_BYTES,
    *,
    depth: int = DEPTH,
    nan: bool = False,
    hint: str | None = None,
) -> dict[str, Any]:
    """Returns the mapping that a JSON file holds; the arguments and errors are those of `read_json`.

    Raises:
        DamagedFile: The file holds something else.
    """
    return as_mapping(read_json(path, limit_bytes, depth=depth, nan=nan, hint=hint), path, hint=hint)


def as_mapping(value: Any, where: Path | str, *, hint: str | None = None) -> dict[str, Any]:
    """Returns a value that was read from JSON if it is a mapping.

    Raises:
        DamagedFile: The value is something else.
    """
    if not isinstance(value, dict):
        raise DamagedFile(where, f"holds {kind_of(value)}, expected a mapping", hint)
    return value


def parse_json(
    content: bytes | str, where: Path | str, *, depth: int = DEPTH, nan: bool = False, hint: str | None = None
) -> Any:
    """Returns the value of a JSON text.

    Args:
        content: The text, or its bytes in UTF-8.
        where: Whose it is: a file, perhaps with a line.
        depth: How deep lists and mappings may be nested.
        nan: Whether NaN and infinity are values.
        hint: What to do about a damaged text.

    Raises:
        DamagedFile: It is not JSON, nested too deeply, or holds a number that nobody wrote.
    """
    text = decode_utf8(content, where, hint=hint) if isinstance(content, bytes) else content
    if nested_deeper(text, depth):
        raise DamagedFile(where, f"nested more than {depth} levels deep", hint)
    try:
        return (_WITH_NAN if nan else _FINITE).decode(text)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        place = f"line {error.lineno}, column {error.colno}: " if text.strip() else ""
        raise DamagedFile(where, f"{place}not JSON ({reason})" if place else "is empty", hint) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DamagedFile(where, f"not JSON that is read here ({error or type(error).__name__})", hint) from error


@contextmanager
def damage_as(kind: type[CobraError], hint: str | None = None) -> Iterator[None]:
    """Raises a damaged or unreadable file as another error of ours, for callers that promise one of their own.

    Args:
        kind: The error to raise; it keeps message and place.
        hint: What to do about a damaged file; None: as it says itself.
    """
    try:
        yield
    except UnreadableFile as error:
        own = error.hint if hint is None or not isinstance(error, DamagedFile) else hint
        raise kind(error.message, where=error.where, hint=own) from error


def refuse_irregular(status: os.stat_result, path: Path, hint: str | None = None) -> None:
    """Refuses what is no regular file.

    Raises:
        DamagedFile: It is a folder, a pipe, a device.
    """
    if not stat.S_ISREG(status.st_mode):
        raise DamagedFile(path, f"is {kind_of_place(status.st_mode)}, not a file", hint)


def _refuse_hole(status: os.stat_result, path: Path, hint: str | None) -> None:
    written = getattr(status, "st_blocks", status.st_size) * 512
    if status.st_size > SMALL_BYTES and written * _DENSEST < status.st_size:
        raise DamagedFile(path, f"holds {status.st_size:,} bytes, of which next to none were ever written", hint)


def _unreadable_hint(error: BaseException) -> str:
    if is_shortage(error):
        return SHORTAGE_HINT
    return "The file itself may be well: leave it, and see to it that this user may read it."


def nested_deeper(text: str, depth: int) -> bool:
    """Returns whether brackets are nested deeper than that; in time that grows with the text alone, without parsing."""
    if text.count("[") + text.count("{") <= depth:
        return False
    rest = _NO_BRACKET.sub("", _STRING.sub("", text))
    for _ in range(depth):  # each round takes the innermost pairs away
        shorter = rest.replace("[]", "").replace("{}", "")
        if len(shorter) == len(rest):
            break
        rest = shorter
    else:
        if "[]" in rest or "{}" in rest:
            return True
    return rest.count("[") + rest.count("{") > depth  # brackets that nobody closed


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"the number {digits[:20]}... has too many digits")
    return int(digits)


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:20]} is not finite")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


_FINITE = json.JSONDecoder(parse_int=_integer, parse_float=_finite_number, parse_constant=_no_constant)
_WITH_NAN = json.JSONDecoder(parse_int=_integer)
