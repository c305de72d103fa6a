"""Boxes of official files and of predictions, in whatever unit they come: named, never guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cobra_kit.errors import DataError

_SLACK = 1.0
"""Pixels by which a box may stand out of its image: annotators' polygons end on its border."""


def true_box(values: Sequence[Any], size: tuple[float, float], where: str) -> dict[str, Any]:
    """Returns the annotation of a box that is x, y, width, height in pixels of an image.

    Raises:
        DataError: It is something else; the message says what it looks like.
    """
    width, height = size
    if width <= 0 or height <= 0 or width != int(width) or height != int(height):
        raise DataError(f"an image of {width} x {height}, expected whole numbers of pixels", where=where)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(values) != 4 or len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise DataError(f"the box is {list(values)!r}, expected four finite numbers", where=where, hint=_EXPECTED)
    x, y, box_width, box_height = map(float, numbers)
    if box_width <= 0 or box_height <= 0:
        raise DataError(f"the box {numbers} has no area", where=where, hint=_EXPECTED)
    if max(numbers) <= 1:
        raise DataError(f"the box {numbers} looks like parts of the image (0..1)", where=where, hint=_EXPECTED)
    if min(x, y) < -_SLACK or x + box_width > width + _SLACK or y + box_height > height + _SLACK:
        corners = box_width <= width + _SLACK and box_height <= height + _SLACK and box_width > x and box_height > y
        looks = "; as the corners x1, y1, x2, y2 it would fit" if corners else ""
        raise DataError(
            f"the box {numbers} leaves its image of {int(width)} x {int(height)}{looks}", where=where, hint=_EXPECTED
        )
    return {"box": (x, y, box_width, box_height), "image_size": (int(width), int(height))}


_EXPECTED = "Boxes of this file are x, y, width, height in pixels: convert it, or fetch the official one."
