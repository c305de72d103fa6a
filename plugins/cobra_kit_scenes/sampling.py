"""Composes scenes at random: six kinds of image, one per level that questions need.

Nothing here prefers a color, a shape or a letter to another. Questions stay free of guessable answers because
renaming the colors (or the shapes) of all scenes gives the same distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cobra_kit_scenes.layout import Box, Scene, SceneObject, SceneText
from cobra_kit_scenes.vocabulary import (
    COLOR_NAMES,
    IMAGE,
    LETTERS,
    MAX_OBJECTS,
    PAIRS,
    SHAPES,
    SIDES,
    WORDS,
)

KINDS = {"single": 0.24, "pair": 0.10, "several": 0.28, "letter": 0.12, "tagged": 0.12, "word": 0.14}
"""Shares: a large object | two objects | two to five | a large letter | objects, a small letter | a word."""

_NUM_OBJECTS = {
    "single": (1, 1),
    "pair": (2, 2),
    "several": (2, MAX_OBJECTS),
    "letter": (0, 0),
    "tagged": (2, 3),
    "word": (0, 1),
}
_TEXT_HEIGHT = {"letter": (28, 40), "tagged": (12, 15), "word": (14, 18)}
_GAP = 2
_TRIES = 25
_GROUP = 0.65
"""How often objects share a color or shape, and how often three do where there are three."""


def sample_scene(rng: Random) -> Scene:
    """Returns one scene; all of its randomness comes from `rng`."""
    kind = rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]
    pairs = _pairs(kind, rng)
    text = _text(kind, rng)
    boxes = None
    while boxes is None:  # what there is stays, so that crowded images do not become rare
        sizes = ["large" if kind == "single" else rng.choice(tuple(SIDES)) for _ in pairs]
        sides = [rng.randint(*SIDES[size]) for size in sizes]
        boxes = place([*((side, side) for side in sides), *([_text_size(kind, text, rng)] if text else [])], rng)
    objects = tuple(
        SceneObject(shape, color, size, box)
        for (color, shape), size, box in zip(pairs, sizes, boxes[: len(pairs)], strict=True)
    )
    return Scene(kind, objects, SceneText(text, boxes[-1]) if text else None, rng.getrandbits(32))


def place(spaces: Sequence[tuple[int, int]], rng: Random) -> list[Box] | None:
    """Returns boxes of these widths and heights that do not touch, or None after too many tries."""
    boxes: dict[int, Box] = {}
    for index in sorted(range(len(spaces)), key=lambda i: -spaces[i][0] * spaces[i][1]):
        width, height = spaces[index]
        for _ in range(_TRIES):
            x0, y0 = rng.randint(1, IMAGE - 1 - width), rng.randint(1, IMAGE - 1 - height)
            box = Box(x0, y0, x0 + width, y0 + height)
            if not any(box.touches(other, _GAP) for other in boxes.values()):
                boxes[index] = box
                break
        else:
            return None
    return [boxes[index] for index in range(len(spaces))]


def _pairs(kind: str, rng: Random) -> list[tuple[str, str]]:
    fewest, most = _NUM_OBJECTS[kind]
    count = rng.randint(fewest, most)
    if count >= 2 and rng.random() < _GROUP:
        return _with_a_group(count, rng)
    return rng.sample(PAIRS, count)


def _with_a_group(count: int, rng: Random) -> list[tuple[str, str]]:
    """Returns pairs of which two or three share a color (or a shape), so that there is something to count."""
    size = 3 if count > 2 and rng.random() < _GROUP else 2
    if rng.random() < 0.5:
        color = rng.choice(COLOR_NAMES)
        group = [(color, shape) for shape in rng.sample(SHAPES, size)]
        rest = [pair for pair in PAIRS if pair[0] != color]
    else:
        shape = rng.choice(SHAPES)
        group = [(color, shape) for color in rng.sample(COLOR_NAMES, size)]
        rest = [pair for pair in PAIRS if pair[1] != shape]
    pairs = group + rng.sample(rest, count - size)
    rng.shuffle(pairs)
    return pairs


def _text(kind: str, rng: Random) -> str:
    if kind in ("letter", "tagged"):
        return rng.choice(LETTERS)
    return rng.choice(WORDS) if kind == "word" else ""


def _text_size(kind: str, text: str, rng: Random) -> tuple[int, int]:
    """Returns width and height in pixels: square for a letter."""
    height = rng.randint(*_TEXT_HEIGHT[kind])
    return (height if len(text) == 1 else min(round(0.82 * height * len(text)), IMAGE - 4)), height
