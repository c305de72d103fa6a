"""Boxes of predictions in other units than the rule reads: named, and refused where most are, never converted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from cobra_kit.errors import DataError
from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.refcoco.rule import COBRA, parse_minigpt4_box

_MOST = 0.5


def inspect(answers: Sequence[Submitted], rule: str) -> list[str]:
    """Returns what is odd about the boxes; a rule of other units than parts of the image is not looked at.

    Raises:
        DataError: More than half of the boxes are in another unit or form.
    """
    if rule != COBRA.name:
        return []
    boxes = [box for answer in answers if (box := _four(answer.text or "")) is not None]
    outside = [box for box in boxes if min(box) < 0 or max(box) > 1]
    turned = [box for box in boxes if min(box) >= 0 and max(box) <= 1 and not (box[0] < box[2] and box[1] < box[3])]
    theirs = [answer for answer in answers if parse_minigpt4_box(answer.text or "") is not None]
    notes = []
    for odd, total, what, hint in (
        (outside, boxes, f"numbers outside 0..1{_unit(outside)}", "Divide by the image's width and height (or 1000)."),
        (
            turned,
            boxes,
            "x1 >= x2 or y1 >= y2: they look like x, y, width, height",
            "Write the corners: x, y, x + width, y + height.",
        ),
        (theirs, answers, "MiniGPT-4's form {<x1><y1><x2><y2>}", "--rule refcoco/minigpt4 reads it."),
    ):
        if len(odd) > _MOST * len(total):
            raise DataError(
                f"{len(odd):,} of {len(total):,} boxes have {what}; "
                f"{rule} reads [x1, y1, x2, y2] in parts of the image",
                hint=hint,
            )
        if odd:
            notes.append(f"{len(odd):,} of {len(total):,} boxes have {what}; they count as wrong")
    return notes


def _unit(boxes: Sequence[Sequence[float]]) -> str:
    if not boxes:
        return ""
    largest = max(map(max, boxes))
    if largest <= 100:
        return f" (up to {largest:g}: hundredths?)"
    return f" (up to {largest:g}: thousandths or pixels?)" if largest <= 1000 else f" (up to {largest:g}: pixels?)"


def _four(text: str) -> list[float] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or len(value) != 4:
        return None
    numbers = [number for number in value if isinstance(number, int | float) and not isinstance(number, bool)]
    return numbers if len(numbers) == 4 and all(map(math.isfinite, numbers)) else None
