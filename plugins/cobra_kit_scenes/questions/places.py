"""The halves of an image and what is in them: what the third level of color, shape and presence asks about."""

from __future__ import annotations

from collections.abc import Mapping

from cobra_kit_scenes.layout import Box, Scene, SceneObject
from cobra_kit_scenes.vocabulary import IMAGE

MARGIN = 6
"""Centres closer than this, in pixels, to the middle are in neither half; nor left nor right of one another."""

PLACES: Mapping[str, tuple[int, int]] = {
    "on the left": (-1, 0),
    "on the right": (1, 0),
    "at the top": (0, -1),
    "at the bottom": (0, 1),
}
"""Halves of the image, with the direction of each from its centre, in x and y."""


def is_in(box: Box, place: str) -> bool | None:
    """Says whether a box is in a place by its centre; None where it is too close to the border to call."""
    (x, y), (right, down) = box.center, PLACES[place]
    depth = right * (x - IMAGE / 2) + down * (y - IMAGE / 2)
    return None if abs(depth) < MARGIN else depth > 0


def lone_objects(scene: Scene) -> list[tuple[str, SceneObject]]:
    """Returns every place that holds one object, with that object.

    None of which nobody can call whether a second one is in it. None in an image of less than two objects: whoever asks
    for its only object needs no place.
    """
    if len(scene.objects) < 2:
        return []
    lone = []
    for place in PLACES:
        inside = [(item, is_in(item.box, place)) for item in scene.objects]
        there = [item for item, holds in inside if holds is not False]
        if len(there) == 1 and is_in(there[0].box, place):
            lone.append((place, there[0]))
    return lone
