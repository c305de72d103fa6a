"""Reads VizWiz: one list of questions with ten answers each, as vizwiz.org distributes it; the image is the id."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import ten_answers, text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, read_records
from cobra_kit_benchmarks.vizwiz.rule import ANSWERABLE, UNANSWERABLE


def read(files: Files) -> Sequence[Item]:
    """Returns the questions in the order of the file, in the groups `answerable` and `unanswerable`.

    Raises:
        DataError: The file is missing or of another form.
        UnreadableFile: It is not JSON.
    """
    path = files["annotations"]
    return unique([_item(record) for record in read_records(path)], str(path))


def _item(record: Record) -> Item:
    image = text_field(record, "image")
    return Item(
        question_id=image,
        image=image,
        text=text_field(record, "question"),
        annotation={"answers": ten_answers(record)},
        group=_group(record),
    )


def _group(record: Record) -> str:
    if ANSWERABLE not in record.fields:  # as in files of the challenge before 2019
        return ""
    value = record.fields[ANSWERABLE]
    if value not in (0, 1):
        raise DataError(f"`answerable` is {value!r}, expected 0 or 1", where=record.where)
    return ANSWERABLE if value else UNANSWERABLE
