"""Values of LLaVA's form to training rows, each with its place: good, broken, or left out by a quarantine list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cobra_kit.data.quarantine import Quarantine
from cobra_kit.data.rejects import Rejects
from cobra_kit.errors import DataError, TextError, first_line
from cobra_kit.events import Reporter
from cobra_kit.interfaces import PlacedRow, TrainingRow
from cobra_kit.text.llava import parse_llava_row


def placed(values: Iterable[Any], file: str, quarantine: Quarantine) -> Iterator[PlacedRow]:
    """Yields the rows of a file with their places.

    Args:
        values: Its rows as decoded, unchecked.
        file: Its name, as the settings have it.
        quarantine: The rows that are left out.

    Raises:
        DataError: The quarantine list means other rows.
    """
    for number, value in enumerate(values, start=1):
        row_id = _id(value)
        if reason := quarantine.reason(file, number, row_id):
            yield PlacedRow(file, number, row_id, None, f"in the quarantine list: {reason}", quarantined=True)
            continue
        try:
            conversation = parse_llava_row(value)
        except TextError as error:
            yield PlacedRow(file, number, row_id, None, first_line(error))
            continue
        yield PlacedRow(file, number, row_id, TrainingRow(conversation.id, conversation.images, conversation.turns))


def collected(
    rows: Iterable[PlacedRow], place: str, report: Reporter, *, several: bool = False
) -> tuple[tuple[TrainingRow, ...], Rejects]:
    """Returns the good rows, of which no two have one id, and the others with their reasons; warns about those.

    Args:
        rows: The rows of all files.
        place: The file or files, for messages.
        report: Told about the rows that are left out.
        several: Whether there are several files, so that a row's number alone says too little.

    Raises:
        DataError: No good row is left.
    """
    good: dict[str, TrainingRow] = {}
    rejects = Rejects(0)
    for number, item in enumerate(rows, start=1):
        rejects.out_of = number
        if item.row is None:
            rejects.add(item.place if several else f"row {item.number}", item.reason)
            continue
        name = item.row.row_id
        while name in good:  # a loop, since a row may be called `a#3` by itself
            name += f"#{number}"
        good[name] = item.row if name == item.row.row_id else TrainingRow(name, item.row.images, item.row.turns)
    if not good:
        raise DataError(
            "no training row is left",
            where=place,
            hint=rejects.summary("rows break LLaVA's form") if rejects.total else "The file is empty.",
        )
    rejects.announce(report, place, "rows break LLaVA's form and are left out" + _of_them(rejects))
    return tuple(good.values()), rejects


def _of_them(rejects: Rejects) -> str:
    """Returns how many of the rows a quarantine list left out, where it did."""
    listed = sum(reason.startswith("in the quarantine list") for reason in rejects.reasons.values())
    return f" ({listed} by the quarantine list)" if listed else ""


def _id(value: object) -> str:
    identity = value.get("id") if isinstance(value, Mapping) else None
    return str(identity) if isinstance(identity, str | int) else ""
