"""Reads VSR: JSON lines of statements, as cambridgeltl/visual-spatial-reasoning distributes them."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, read_records

LABELS = {1: "True", 0: "False"}


def read(files: Files) -> Sequence[Item]:
    """Returns the statements in the order of the file; the number of the line, from 0 on, is the id.

    Raises:
        DataError: The file is missing or of another form.
        UnreadableFile: It is not JSON.
    """
    path = files["annotations"]
    return unique([_item(number, record) for number, record in enumerate(read_records(path))], str(path))


def _item(number: int, record: Record) -> Item:
    label = record.fields.get("label")
    if isinstance(label, bool) or label not in LABELS:
        raise DataError(f"`label` is {label!r}, expected 1 (true) or 0 (false)", where=record.where)
    return Item(
        question_id=str(number),
        image=text_field(record, "image"),
        text=text_field(record, "caption"),
        annotation={"answers": (LABELS[label],)},
    )
