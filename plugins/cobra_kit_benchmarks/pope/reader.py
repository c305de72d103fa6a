"""Reads POPE: JSON lines, a file for each of `adversarial`, `popular` and `random`, as AoiDragon/POPE has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.definition import Files
from cobra_kit_benchmarks.common.fields import id_field, text_field
from cobra_kit_benchmarks.common.items import Item, unique
from cobra_kit_benchmarks.common.json_files import Record, read_records

SPLITS = ("adversarial", "popular", "random")


def read(files: Files) -> Sequence[Item]:
    """Returns the questions of a folder's three files, or of one file alone; ids are `random/17`.

    Files of questions, where they are given, name the same questions by other ids, such as LLaVA's: joined on split,
    image and text, since releases of the random split differ in what stands where.

    Raises:
        DataError: A file is missing or of another form.
        UnreadableFile: A file is not JSON.
    """
    path = files["annotations"]
    parts = split_files(path) if path.is_dir() else {split_name(path): path}
    items = [_item(split, record) for split, file in parts.items() for record in read_records(file)]
    if "questions" in files:
        names = _other_ids(files["questions"])
        items = [replace(item, names=names.get(_pair(item.group, item.image, item.text), ())) for item in items]
    return unique(items, str(path))


def split_files(folder: Path) -> dict[str, Path]:
    """Returns the file of each split in a folder.

    Raises:
        DataError: A split has no file there, or several.
    """
    files: dict[str, Path] = {}
    for split in SPLITS:
        named = sorted(path for path in folder.iterdir() if split in path.name and path.suffix in (".json", ".jsonl"))
        if len(named) != 1:
            listed = ", ".join(path.name for path in named) or "none"
            raise DataError(
                f"{len(named)} files of the split {split} ({listed}), expected one",
                where=str(folder),
                hint="They are called coco_pope_adversarial.json, coco_pope_popular.json and coco_pope_random.json; "
                "give one of them alone to score one split.",
            )
        files[split] = named[0]
    return files


def split_name(path: Path) -> str:
    """Returns the split that a file's name tells; empty where it tells none."""
    return next((split for split in SPLITS if split in path.name), "")


def _other_ids(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns the ids that files of questions give, by split, image and text."""
    parts = split_files(path) if path.is_dir() else {split_name(path): path}
    names: dict[str, tuple[str, ...]] = {}
    for split, file in parts.items():
        for record in read_records(file):
            part = record.fields.get("category", split)
            pair = _pair(str(part), text_field(record, "image"), text_field(record, "text"))
            names[pair] = (*names.get(pair, ()), id_field(record, "question_id"))
    return names


def _pair(split: str, image: str, text: str) -> str:
    return f"{split}\n{image}\n{text.split(chr(10))[0].strip()}"


def _item(split: str, record: Record) -> Item:
    label = text_field(record, "label").lower().strip()
    if label not in ("yes", "no"):
        raise DataError(f"`label` is {label!r}, expected 'yes' or 'no'", where=record.where)
    number = id_field(record, "question_id")
    return Item(
        question_id=f"{split}/{number}" if split else number,
        image=text_field(record, "image"),
        text=text_field(record, "text"),
        annotation={"answers": (label,)},
        group=split,
    )
