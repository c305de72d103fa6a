"""The result of a reader: the questions of a benchmark's files, before they are worded for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cobra_kit.errors import DataError


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    Args:
        question_id: Unique within the benchmark, over all of its parts.
        image: The image's file name; empty where only scores are wanted and the files do not name it.
        text: The question, statement or expression as the file has it.
        annotation: What the rules read: `answers`, or `box` and `image_size`.
        group: The part of the benchmark; empty without parts.
        ocr: What a text reader saw in the image, in its order (TextVQA).
        names: What else the files call the image (RefCOCO).
    """

    question_id: str
    image: str
    text: str
    annotation: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    ocr: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def unique(items: Sequence[Item], where: str) -> tuple[Item, ...]:
    """Returns the items if there are some and no two have the same id.

    Raises:
        DataError: There are none, or an id occurs twice.
    """
    if not items:
        raise DataError("no questions", where=where, hint="The file is empty: fetch it again.")
    seen: set[str] = set()
    twice = []
    for item in items:
        if item.question_id in seen:
            twice.append(item.question_id)
        seen.add(item.question_id)
    if twice:
        raise DataError(
            f"{len(twice):,} question ids occur more than once, such as {twice[0]!r}",
            where=where,
            hint="Two files may have been joined. Fetch the official file again.",
        )
    return tuple(items)
