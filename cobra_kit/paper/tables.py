"""Typed access to `tables.yaml`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from cobra_kit.errors import CobraError
from cobra_kit.formatting import did_you_mean, nearest

Cell = float | int | str | None


@dataclass(frozen=True)
class PaperRow:
    """One row of a published table: column name to value, None where the paper gives no number.

    Args:
        name: Name of the row, unique within its table.
        table: Name of its table.
        cells: The values by column, key columns included.
    """

    name: str
    table: str
    cells: Mapping[str, Cell]

    def __getitem__(self, column: str) -> Cell:
        """Returns the value in `column`.

        Raises:
            CobraError: If the table has no such column; it names the nearest.
        """
        if column not in self.cells:
            raise _unknown("column", column, self.cells, where=self.table)
        return self.cells[column]

    def number(self, column: str) -> float | None:
        """Returns the value in `column` as a number, None if the paper gives none.

        Raises:
            CobraError: If there is no such column, or it holds words.
        """
        value = self[column]
        if isinstance(value, str):
            raise CobraError(f"{self.name!r} has words under {column!r}: {value!r}", where=self.table)
        return None if value is None else float(value)


@dataclass(frozen=True)
class PaperTable:
    """A published table.

    Args:
        name: The name that `paper_table` finds it by.
        number: Its number in the paper; None if it has none there.
        caption: What it shows, in our words.
        subject: The model it is about.
        source: Paper, version and table.
        confidence: `verbatim` or `secondary`.
        note: What to know before using it; may be empty.
        columns: Names of the columns that hold values.
        rows: The rows by name.
        meanings: What a row stands for, where its name does not say.
        printed_differences: Differences to the first row as printed, where the paper prints them.
        models: The model a row is about, where its name does not say so.
        settings: Columns that describe a model and are no results.
        means: Columns that are the mean of other columns.
        measures: `accuracy`, `latency` or `settings`.
    """

    name: str
    number: int | None
    caption: str
    subject: str
    source: str
    confidence: str
    note: str
    columns: tuple[str, ...]
    rows: Mapping[str, PaperRow]
    meanings: Mapping[str, str] = field(default_factory=dict)
    printed_differences: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    means: Mapping[str, Sequence[str]] = field(default_factory=dict)
    measures: str = "accuracy"

    @property
    def title(self) -> str:
        """Such as `Cobra-3.5B, Table 5`."""
        return f"{self.subject}, Table {self.number}" if self.number is not None else self.subject

    @property
    def results(self) -> tuple[str, ...]:
        """The columns that hold results."""
        return tuple(column for column in self.columns if column not in self.settings)

    def model(self, row: str) -> str:
        """Returns the model that a row is about; rows of several tables can be about one."""
        return self.models.get(row, row)

    def row(self, name: str) -> PaperRow:
        """Returns the row called `name`.

        Raises:
            CobraError: If there is none; it names the nearest.
        """
        if not isinstance(name, str) or name not in self.rows:
            raise _unknown("row", name, self.rows, where=self.name)
        return self.rows[name]

    def differences(self, name: str, reference: str) -> dict[str, float]:
        """Returns row `name` minus row `reference`, for the columns in which both have a number.

        Rounded to two decimals, which undoes the noise of subtracting decimal fractions.

        Raises:
            CobraError: If a row is unknown.
        """
        row, other = self.row(name), self.row(reference)
        pairs = {column: (row[column], other[column]) for column in self.columns}
        return {
            column: round(a - b, 2)
            for column, (a, b) in pairs.items()
            if isinstance(a, int | float) and isinstance(b, int | float)
        }


def paper_table(name: str) -> PaperTable:
    """Returns the published table called `name`, such as `v4_table5_ablation`.

    Raises:
        CobraError: If there is none; it names the nearest.
    """
    tables = _load()
    if not isinstance(name, str) or name not in tables:
        raise _unknown("paper table", name, tables)
    return tables[name]


def paper_table_names() -> tuple[str, ...]:
    """Returns the names of all packaged tables."""
    return tuple(_load())


@functools.cache
def _load() -> dict[str, PaperTable]:
    text = resources.files("cobra_kit.paper").joinpath("tables.yaml").read_text(encoding="utf-8")
    return {name: _table(name, body) for name, body in yaml.safe_load(text).items()}


def _table(name: str, body: dict[str, Any]) -> PaperTable:
    columns = body["columns"]
    records = [dict(zip(columns, cells, strict=True)) for cells in body["rows"]]
    values = tuple(column for column in columns if column not in body["key"])
    named = {_row_name(record, records, body["key"]): record for record in records}
    printed = body.get("printed_differences", {})
    return PaperTable(
        name=name,
        number=body["number"],
        caption=body["caption"],
        subject=body["subject"],
        source=body["source"],
        confidence=body["confidence"],
        note=body.get("note", ""),
        columns=values,
        rows={row: PaperRow(row, name, record) for row, record in named.items()},
        meanings=body.get("meanings", {}),
        printed_differences={row: dict(zip(values, cells, strict=True)) for row, cells in printed.items()},
        models=body.get("models", {}),
        settings=tuple(body.get("settings", ())),
        means=body.get("means", {}),
        measures=body.get("measures", "accuracy"),
    )


def _row_name(record: dict[str, Cell], records: list[dict[str, Cell]], key: list[str]) -> str:
    """Returns the first key column, followed by the others in brackets only where the first is not enough."""
    first, *others = (str(record[column]) for column in key)
    same = sum(str(other[key[0]]) == first for other in records)
    return first if same == 1 else f"{first} ({', '.join(others)})"


def _unknown(what: str, name: str, known: Iterable[str], where: str | None = None) -> CobraError:
    names = list(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = [lowered[match] for match in nearest(str(name).lower(), lowered, cutoff=0.5)]
    hint = did_you_mean(near) or f"known: {', '.join(names)}"
    return CobraError(f"no {what} named {name!r}", where=where, hint=hint)
