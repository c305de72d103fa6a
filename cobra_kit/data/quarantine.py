"""The quarantine list: rows that `data check` found unfit, which a source then leaves out and counts.

JSON lines: a head that says what the list is, then a row per line, named by its file, its number there and its id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.errors import DataError
from cobra_kit.files import atomic_write, json_bytes

_KIND = "rows that cobra-kit data check left out"
_AGAIN = "Run `cobra-kit data check` again, which writes it anew."


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row of the list.

    Args:
        file: The file or shard, as the settings name it.
        number: Its number in there.
        row_id: Its id as written.
        reason: Why it is left out.
    """

    file: str
    number: int
    row_id: str
    reason: str


def write_quarantine(path: Path, rows: Iterable[QuarantinedRow]) -> int:
    """Writes a list, whole or not at all; returns how many rows it has."""
    count = 0
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.write(json_bytes({"quarantine": _KIND, "version": 1}) + b"\n")
        for row in rows:
            line = {"file": row.file, "row": row.number, "id": row.row_id, "reason": row.reason}
            file.write(json_bytes(line) + b"\n")
            count += 1
        file.write(json_bytes({"rows": count}) + b"\n")
    return count


class Quarantine:
    """A list that was read; an empty one leaves nothing out.

    Args:
        rows: The rows of the list.
        path: Where it stands, for errors.
    """

    def __init__(self, rows: Iterable[QuarantinedRow] = (), path: Path | None = None) -> None:
        self._rows = {(row.file, row.number): row for row in rows}
        self._path = path

    def __len__(self) -> int:
        return len(self._rows)

    def reason(self, file: str, number: int, row_id: str) -> str | None:
        """Returns why a row is left out; None where it is not on the list.

        Raises:
            DataError: The row at that place is another one than the list means.
        """
        row = self._rows.get((file, number))
        if row is None:
            return None
        if row.row_id != row_id:
            raise DataError(
                f"the list means row {number} of {file} to be {row.row_id!r}, but that is {row_id!r} now",
                where=str(self._path),
                hint=f"The rows were changed since it was written. {_AGAIN}",
            )
        return row.reason


def read_quarantine(path: Path | None) -> Quarantine:
    """Returns the list of a file; without a file, an empty one.

    Raises:
        DataError: The file is missing, is no such list, or is not whole.
    """
    if path is None:
        return Quarantine()
    try:
        with open(path, encoding="utf-8") as file:
            lines = [_mapping(line, number, path) for number, line in enumerate(file, start=1)]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise DataError(f"the quarantine list cannot be read: {reason}", where=str(path), hint=_AGAIN) from error
    if not lines or "quarantine" not in lines[0]:
        raise DataError("no quarantine list: its first line does not say so", where=str(path), hint=_AGAIN)
    if len(lines) < 2 or lines[-1].get("rows") != len(lines) - 2:
        raise DataError("the quarantine list is not whole: its last line is missing", where=str(path), hint=_AGAIN)
    return Quarantine((_row(line, number, path) for number, line in enumerate(lines[1:-1], start=2)), path)


def _mapping(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise DataError(f"line {number}: not JSON", where=str(path), hint=_AGAIN) from error
    if not isinstance(value, dict):
        raise DataError(f"line {number}: not an object", where=str(path), hint=_AGAIN)
    return value


def _row(line: Mapping[str, Any], number: int, path: Path) -> QuarantinedRow:
    file, row, row_id, reason = (line.get(key) for key in ("file", "row", "id", "reason"))
    if isinstance(file, str) and type(row) is int and isinstance(row_id, str) and isinstance(reason, str):
        return QuarantinedRow(file, row, row_id, reason)
    raise DataError(f"line {number}: no `file`, `row`, `id` and `reason`", where=str(path), hint=_AGAIN)
