"""Reads benchmark files, which may be large: one JSON value, or JSON lines; errors name line and column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cobra_kit.errors import DamagedFile, DataError, kind_of
from cobra_kit.files import decode_utf8, read_small

MOST_BYTES = 2 << 30
"""VQAv2's annotations of the training split have 0.4 GB; nothing of these benchmarks is larger."""

_BROKEN = "Mend that place, or fetch the file again."
_SAMPLE = 40


class Record(NamedTuple):
    """One mapping of a file, and where it stands, for errors."""

    where: str
    fields: dict[str, Any]


def read_value(path: Path) -> Any:
    """Returns the value of a JSON file; a byte order mark does not matter, NaN is read as such.

    Raises:
        DataError: There is no such file.
        UnreadableFile: It cannot be read, or is not JSON; names line and column.
    """
    return _parsed(_text(path), path)


def read_records(path: Path) -> list[Record]:
    """Returns the mappings of a file that is a JSON list of them or JSON lines, whichever it is.

    Raises:
        DataError: There is no such file, or it holds something else.
        UnreadableFile: It cannot be read, or is not JSON; names line and column.
    """
    text = _text(path)
    if text.lstrip()[:1] == "[":
        return [_record(item, f"{path}: item {number}") for number, item in enumerate(_parsed(text, path), start=1)]
    return list(_lines(text, path))


def records_of(value: Any, key: str, path: Path, form: str) -> list[Record]:
    """Returns the mappings that a file lists under a key, such as `annotations`.

    Args:
        value: What was read of the file.
        key: The key whose value is the list.
        path: The file, for errors.
        form: What the file should be, in words.

    Raises:
        DataError: The file is not of that form.
    """
    if not isinstance(value, dict) or key not in value:
        raise DataError(
            f"no {form}: it {shape(value)}, expected a mapping with a list `{key}`",
            where=str(path),
            hint="The file may belong to another benchmark, or be the questions in place of the annotations.",
        )
    items = value[key]
    if not isinstance(items, list):
        raise DataError(f"`{key}` is {kind_of(items)}, expected a list", where=str(path))
    return [_record(item, f"{path}: {key}[{number}]") for number, item in enumerate(items)]


def existing(path: Path, what: str) -> Path:
    """Returns the path if a file or folder is there.

    Raises:
        DataError: There is none.
    """
    if not path.exists():
        raise DataError(f"no such file: {what}", where=str(path), hint="Check the path; nothing is downloaded here.")
    return path


def _text(path: Path) -> str:
    try:
        return decode_utf8(read_small(path, MOST_BYTES), path, hint="Save the file as UTF-8, or fetch it again.")
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path), hint="Check the path; nothing is downloaded here.") from error


def _lines(text: str, path: Path) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if number == 1 and line.strip() == "{":  # one mapping over many lines is no list of questions or answers
            raise DataError(
                "one JSON mapping, expected a list or one mapping a line",
                where=str(path),
                hint="Results are `[{...}, {...}]`, or one `{...}` a line.",
            )
        yield _record(_parsed(line, path, number), where)


def _parsed(text: str, path: Path, line: int = 1) -> Any:
    """Returns the value of a JSON text; `files.parse_json` looks at nesting first, half of the time of a large file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        place = f"line {error.lineno + line - 1}, column {error.colno}"
        what = f"{place}: not JSON ({reason})" if text.strip() else "is empty"
        raise DamagedFile(path, what, _BROKEN) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DamagedFile(path, f"not JSON that is read here ({error or type(error).__name__})", _BROKEN) from error


def _record(value: Any, where: str) -> Record:
    if not isinstance(value, dict):
        raise DataError(f"{kind_of(value)}, expected a mapping", where=where, hint="Results are `[{...}, {...}]`.")
    return Record(where, value)


def shape(value: Any) -> str:
    """Returns what a value of a file is, in words that go on from `it`."""
    if isinstance(value, dict):
        keys = ", ".join(f"`{key[:_SAMPLE]}`" for key in list(value)[:3])
        return f"has {len(value):,} keys such as {keys}" if keys else "is an empty mapping"
    return f"is a list of {len(value):,}" if isinstance(value, list) else f"is {kind_of(value)}"
