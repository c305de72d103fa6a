"""Reads GQA: one mapping of question ids, as gqadataset.org distributes it; balanced questions alone count."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import id_field, text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, read_value, shape
from cobra_kit_benchmarks.gqa.rule import SEMANTIC, STRUCTURAL, answer_type


def read(files: Files) -> Sequence[Item]:
    """Returns the balanced questions in the order of the file.

    Raises:
        DataError: The file is missing or of another form.
        UnreadableFile: It is not JSON.
    """
    path = files["annotations"]
    value = read_value(path)
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise DataError(
            f"no file of GQA questions: it {shape(value)}, expected a mapping of question ids to questions",
            where=str(path),
            hint="It is called testdev_balanced_questions.json.",
        )
    records = [(key, Record(f"{path}: question {key!r}", item)) for key, item in value.items()]
    items = [_item(key, record) for key, record in records if record.fields.get("isBalanced", True) is True]
    return unique(items, str(path))


def _item(question_id: str, record: Record) -> Item:
    types = record.fields.get("types")
    known = {kind: name for kind in (STRUCTURAL, SEMANTIC) if (name := _type(types, kind))}
    kinds = {"kinds": tuple(f"{kind}/{name}" for kind, name in known.items())} if known else {}
    return Item(
        question_id=question_id,
        image=f"{id_field(record, 'imageId')}.jpg" if "image" not in record.fields else text_field(record, "image"),
        text=text_field(record, "question"),
        annotation={"answers": (text_field(record, "answer"),), **kinds},
        group=answer_type(known[STRUCTURAL]) if STRUCTURAL in known else "",
    )


def _type(types: object, kind: str) -> str:
    name = types.get(kind) if isinstance(types, dict) else None
    return name if isinstance(name, str) else ""
