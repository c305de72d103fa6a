"""Reads VQAv2: a file of questions and one of annotations, as visualqa.org distributes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import id_field, ten_answers, text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, read_value, records_of

_PREFIXES = {"mscoco": "COCO", None: "COCO"}
"""How images' names begin, by the file's `data_type`; others are called after the type itself."""


def read(files: Files) -> Sequence[Item]:
    """Returns the questions in the order of the annotations; without a file of questions, their texts are empty.

    Raises:
        DataError: A file is missing or of another form, or the two hold different questions.
        UnreadableFile: A file is not JSON.
    """
    path = files["annotations"]
    value = read_value(path)
    records = records_of(value, "annotations", path, "file of VQA annotations")
    prefix = f"{_PREFIXES.get(value.get('data_type'), value.get('data_type'))}_{value.get('data_subtype', '')}"
    del value  # with the questions beside it, the largest split would need twice the memory
    texts = _questions(files["questions"]) if "questions" in files else None
    items = unique([_item(record, texts, prefix) for record in records], str(path))
    if texts is not None:
        _check_same(items, texts, path, files["questions"])
    return items


def _item(record: Record, texts: dict[str, Record] | None, prefix: str) -> Item:
    question_id = id_field(record, "question_id")
    asked = texts.get(question_id) if texts is not None else None
    return Item(
        question_id=question_id,
        image=_image(asked or record, prefix),
        text=text_field(asked, "question") if asked is not None else "",
        annotation={"answers": ten_answers(record)},
    )


def _image(record: Record, prefix: str) -> str:
    name = record.fields.get("image")
    if isinstance(name, str) and name:
        return name
    image_id = id_field(record, "image_id")
    return f"{prefix}_{image_id:0>12}.jpg"


def _questions(path: Path) -> dict[str, Record]:
    records = records_of(read_value(path), "questions", path, "file of VQA questions")
    return {id_field(record, "question_id"): record for record in records}


def _check_same(items: Sequence[Item], texts: dict[str, Record], annotations: Path, questions: Path) -> None:
    answered = {item.question_id for item in items}
    lacking = sorted(answered ^ texts.keys())
    if lacking:
        raise DataError(
            f"{len(lacking):,} question ids are in one of the two files only, such as {lacking[0]!r}",
            where=f"{annotations} and {questions}",
            hint="They belong to different splits: give both files of the same one.",
        )
