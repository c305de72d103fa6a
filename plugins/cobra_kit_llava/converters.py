"""Published instruction data to rows in LLaVA's form, one by one; what cannot be converted is named and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.errors import TextError, first_line
from cobra_kit.text.llava import parse_llava_row
from cobra_kit.text.markers import IMAGE_MARKER, remove_markers

_VISUAL_GENOME = ("vg/VG_100K", "vg/VG_100K_2")


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not converted.

    Args:
        number: Its number in its file.
        reason: Why it was not.
    """

    number: int
    reason: str


Converter = Callable[[Any, str, Path | None], Mapping[str, Any]]
"""A row as published, the id that it gets, and the folder of images, if one is given, to the row in LLaVA's form."""


def converted(
    rows: Iterator[Any], convert: Converter, prefix: str, images: Path | None
) -> Iterator[Mapping[str, Any] | Refused]:
    """Yields the rows in LLaVA's form, each of them checked, and those that cannot be.

    Args:
        rows: The published rows.
        convert: The converter of their form.
        prefix: What ids begin with, so that those of several files differ.
        images: The folder of images, to find out in which of its folders one is; None: nothing is looked up.
    """
    for number, row in enumerate(rows, start=1):
        try:
            result = convert(row, f"{prefix}-{number}", images)
            parse_llava_row(result)
        except TextError as error:
            yield Refused(number, first_line(error))
        else:
            yield result


def lvis_instruct4v(row: Any, row_id: str, images: Path | None) -> Mapping[str, Any]:
    """Returns a row of LVIS-Instruct4V: LLaVA's form already, with ids that are not unique and markers to be mended.

    Raises:
        TextError: It has no image or no conversation, or the image is not in the folder.
    """
    image, turns = _field(row, "image"), row.get("conversations")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, Mapping) for turn in turns):
        raise TextError("`conversations` must be a list of turns")
    if images is not None and not (images / image).is_file():
        raise TextError(f"its image {image} is not in {images}")
    texts = [turn.get("value") for turn in turns]
    if not all(isinstance(text, str) for text in texts):
        raise TextError("a turn has no text")
    if turns[0].get("from") == "human" and sum(text.count(IMAGE_MARKER) for text in texts) != 1:
        texts = [remove_markers(text)[0].strip() for text in texts]
        texts[0] = f"{IMAGE_MARKER}\n{texts[0]}"
    conversations = [{"from": turn.get("from"), "value": text} for turn, text in zip(turns, texts, strict=True)]
    return {"id": row_id, "image": image, "conversations": conversations}


def lrv_instruct(row: Any, row_id: str, images: Path | None) -> Mapping[str, Any]:
    """Returns a row of LRV-Instruct: `image_id` of Visual Genome, `question`, `answer`, and `task`, which is dropped.

    Visual Genome's images are in two folders; which of them has one is looked up where the folder of images is given.

    Raises:
        TextError: A field is missing or empty, or the image is in neither folder.
    """
    image_id, question, answer = (_field(row, name) for name in ("image_id", "question", "answer"))
    name = image_id if image_id.lower().endswith((".jpg", ".png")) else f"{image_id}.jpg"
    places = [f"{folder}/{name}" for folder in _VISUAL_GENOME]
    image = places[0]
    if images is not None:
        there = [place for place in places if (images / place).is_file()]
        if not there:
            raise TextError(f"its image {name} is in neither {_VISUAL_GENOME[0]} nor {_VISUAL_GENOME[1]} of {images}")
        image = there[0]
    turns = [
        {"from": "human", "value": f"{IMAGE_MARKER}\n{_plain(question)}"},
        {"from": "gpt", "value": _plain(answer)},
    ]
    return {"id": row_id, "image": image, "conversations": turns}


CONVERTERS: Mapping[str, Converter] = {"lvis-instruct4v": lvis_instruct4v, "lrv-instruct": lrv_instruct}
"""Converters by the name of the data set, as `data convert` and `data prepare` call it."""


def _field(row: Any, name: str) -> str:
    value = row.get(name) if isinstance(row, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise TextError(f"no `{name}`, or an empty one")
    return value.strip()


def _plain(text: str) -> str:
    return text.replace(IMAGE_MARKER, "").strip()
