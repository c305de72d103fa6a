"""A file of rows: one JSON list, or JSON lines (an object per row, one behind the other)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from cobra_kit.errors import DataError

FORMS = "Rows are one JSON list, `[{...}, {...}]`, or JSON lines, one `{...}` a line, as UTF-8 text."
_BLANKS = re.compile(r"[ \t\r\n]*")
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PAR1": "Parquet", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
"""How files that are no text begin, and what they are."""
_LONGEST_START = 40


def decode_rows(content: bytes, file: Path) -> list[Any]:
    """Returns the values of a file of rows, unchecked; of an empty file, none.

    Which of the two forms it is shows in how it begins, not in its name. A single object is a file of one row.

    Args:
        content: The file's bytes.
        file: Path of the file, for errors.

    Raises:
        DataError: It is of neither form; names the line.
    """
    text = _text(content, file)
    start = _skip_blanks(text, 0)
    if start == len(text):
        return []
    try:
        if text[start] == "[":
            return _list(text, file)
        if text[start] == "{":
            return _objects(text, start, file)
    except RecursionError:
        raise DataError("nested too deeply to be rows", where=str(file), hint=FORMS) from None
    begin = text[start : start + _LONGEST_START].splitlines()[0]
    raise DataError(f"neither a JSON list nor JSON lines: it begins with {begin!r}", where=str(file), hint=FORMS)


def _text(content: bytes, file: Path) -> str:
    for start, kind in PACKED.items():
        if content.startswith(start):
            raise DataError(f"a {kind} file, not JSON", where=str(file), hint=f"Unpack or convert it first. {FORMS}")
    try:
        # With or without a byte order mark, UTF-16 and UTF-32 among them: what the json module recognises.
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"line {line}: byte {content[error.start]:#04x} is not {error.encoding.upper()}",
            where=str(file),
            hint=f"Save the file as UTF-8. {FORMS}",
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"line {line}: a NUL byte, which no JSON file holds",
            where=str(file),
            hint="The file is damaged, or was not written to its end. Fetch or write it again.",
        )
    return text


def _list(text: str, file: Path) -> list[Any]:
    try:
        values: list[Any] = json.loads(text)
    except ValueError as error:
        _not_json(error, file)
    return values


def _objects(text: str, start: int, file: Path) -> list[Any]:
    decoder = json.JSONDecoder()
    values: list[Any] = []
    while start < len(text):
        if values and text[start] == ",":
            line = text.count("\n", 0, start) + 1
            hint = "JSON lines have no commas between them; a list has brackets around it."
            raise DataError(f"line {line}: a comma behind the object", where=str(file), hint=hint)
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError as error:
            _not_json(error, file)
        values.append(value)
        start = _skip_blanks(text, end)
    if len(values) == 1 and "conversations" not in values[0]:
        lists = [repr(key) for key, value in values[0].items() if isinstance(value, list)]
        below = f" The list below {' or '.join(lists)} may be what is meant: save it alone." if lists else ""
        raise DataError(
            f"one object without `conversations` (it has {', '.join(map(repr, list(values[0])[:5])) or 'nothing'}), "
            "expected rows",
            where=str(file),
            hint=FORMS + below,
        )
    return values


def _skip_blanks(text: str, start: int) -> int:
    match = _BLANKS.match(text, start)
    assert match is not None  # it also matches nothing
    return match.end()


def _not_json(error: ValueError, file: Path) -> NoReturn:
    """Raises what is wrong with a text, with its line; a number of too many digits has none."""
    place, reason = "", str(error)
    if isinstance(error, json.JSONDecodeError):
        place, reason = f"line {error.lineno}, column {error.colno}: ", error.msg[:1].lower() + error.msg[1:]
    raise DataError(
        f"{place}not JSON ({reason})",
        where=str(file),
        hint=f"Mend that place, or fetch the file again. {FORMS}",
    ) from error
