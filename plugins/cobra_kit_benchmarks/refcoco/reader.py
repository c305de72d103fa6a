"""Reads RefCOCO in either form: REFER's folder (`refs(unc).p`, `instances.json`), or MiniGPT-4's list of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.boxes import true_box
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import id_field, list_field, number_field, text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, existing, read_records, read_value, records_of
from cobra_kit_benchmarks.common.plain_pickle import read_plain_pickle

SPLIT = "val"


def read(files: Files) -> Sequence[Item]:
    """Returns the expressions of the validation split, in the order of the files.

    Raises:
        DataError: A file is missing or of another form, or a box is not x, y, width, height in pixels of its image.
        UnreadableFile: A file cannot be read.
    """
    path = files["annotations"]
    if path.is_dir():
        pickles = sorted(path.glob("refs(*).p"))
        if len(pickles) != 1:
            listed = ", ".join(file.name for file in pickles) or "none"
            raise DataError(
                f"{len(pickles)} files of references ({listed}), expected one",
                where=str(path),
                hint="Name the one that is meant, such as refs(unc).p; instances.json lies beside it.",
            )
        path = pickles[0]
    items = _refer(path) if path.suffix == ".p" else _rows(path)
    return unique(list(items), str(path))


def _rows(path: Path) -> Iterator[Item]:
    for number, record in enumerate(read_records(path)):
        name = text_field(record, "img_id")
        size = (number_field(record, "width"), number_field(record, "height"))
        yield Item(
            question_id=str(number),
            image=f"{name.rpartition('_')[0] or name}.jpg",
            text=text_field(record, "sents"),
            annotation=true_box(list_field(record, "bbox"), size, record.where),
            names=(name,),
        )


def _refer(path: Path) -> Iterator[Item]:
    file = existing(path.with_name("instances.json"), "the boxes and sizes that the references name")
    instances = read_value(file)
    boxes = _by_id(instances, "annotations", file)
    images = _by_id(instances, "images", file)
    for number, value in enumerate(_references(path)):
        record = Record(f"{path}: reference {number}", value)
        if text_field(record, "split") != SPLIT:
            continue
        box = _named(boxes, id_field(record, "ann_id"), record, file)
        image_id = id_field(record, "image_id")
        image = _named(images, image_id, record, file)
        annotation = true_box(
            list_field(box, "bbox"), (number_field(image, "width"), number_field(image, "height")), box.where
        )
        stem = str(value.get("file_name", "")).removesuffix(".jpg")
        for sentence in list_field(record, "sentences"):
            spoken = Record(record.where, sentence if isinstance(sentence, dict) else {})
            yield Item(
                question_id=id_field(spoken, "sent_id"),
                image=f"COCO_train2014_{image_id:0>12}.jpg",
                text=text_field(spoken, "sent"),
                annotation=annotation,
                names=(stem,),
            )


def _references(path: Path) -> list[dict[str, Any]]:
    references = read_plain_pickle(existing(path, "the references"))
    if not isinstance(references, list) or not all(isinstance(item, dict) for item in references):
        raise DataError("no list of references", where=str(path), hint="It is called refs(unc).p or refs(umd).p.")
    return references


def _by_id(value: Any, key: str, path: Path) -> Mapping[str, Record]:
    records = records_of(value, key, path, "file of COCO instances")
    return {id_field(record, "id"): record for record in records}


def _named(records: Mapping[str, Record], name: str, record: Record, file: Path) -> Record:
    if name not in records:
        raise DataError(
            f"names {name}, which is not in {file.name}",
            where=record.where,
            hint="Both files must be of the same data set: RefCOCO, RefCOCO+ and RefCOCOg each have their own.",
        )
    return records[name]
