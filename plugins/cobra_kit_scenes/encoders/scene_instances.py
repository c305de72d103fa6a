"""Images of the embedded world as arrays: what stands where, ready to be batched. No torch.

A thing is an object or one letter; a word is as many things as it has letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from cobra_kit_scenes import Scene, dense_targets
from cobra_kit_scenes.drawing import SCALE
from cobra_kit_scenes.glyphs import text_mask
from cobra_kit_scenes.layout import Box, SceneText
from cobra_kit_scenes.vocabulary import COLOR_NAMES, IMAGE, MAX_OBJECTS, SHAPES, SIDES, WORDS

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIZES = tuple(SIDES)
ATTRIBUTES = ("size", "color", "shape", "cell", "letter", "word", "order")
"""What is known about a thing, as indices: into `SIZES`, `COLOR_NAMES`, `SHAPES`, the cells of a 3 x 3 grid row by
row, `ALPHABET`, `WORDS`, and the place of a letter in its word. -1: it has no such attribute."""

SIZE, COLOR, SHAPE, CELL, LETTER, WORD, ORDER = range(len(ATTRIBUTES))
COUNTED = 1 + len(COLOR_NAMES) + len(SHAPES)
"""What objects are counted by: all of them, each color, each shape."""

MAX_THINGS = MAX_OBJECTS + 1
_LEAST_SHARE = 0.1  # of a patch; below it the patch counts as background


@dataclass(frozen=True, slots=True)
class SceneInstances:
    """The things that stand in n images; t things at most, unused rows at the end, g patches.

    Args:
        attributes: `[n t 7]` int8, in the order of `ATTRIBUTES`.
        boxes: `[n t 4]` float32, (x0, y0, x1, y1) as parts of the image.
        counts: `[n 13]` int8, objects by `COUNTED`.
        regions: `[n g]` int8: the thing a patch shows most of, or -1.
        centers: `[n t]` int16: the patch that holds a thing's centre; -1 where there is no thing.
        instances: `[n 64 64]` uint8: 0 is background, i + 1 is thing i.
    """

    attributes: NDArray[np.int8]
    boxes: NDArray[np.float32]
    counts: NDArray[np.int8]
    regions: NDArray[np.int8]
    centers: NDArray[np.int16]
    instances: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.attributes)

    def present(self) -> NDArray[np.bool_]:
        """Returns `[n t]`: whether the row holds a thing."""
        return self.centers >= 0


def things_of(
    scenes: Sequence[Scene], grid: tuple[int, int], progress: Callable[[int, int], None] | None = None
) -> SceneInstances:
    """Returns what stands in the scenes.

    Args:
        scenes: One per image.
        grid: (rows, columns) of patches that an encoder makes of an image.
        progress: Called now and then with (scenes done, scenes in all).
    """
    n, patches = len(scenes), grid[0] * grid[1]
    out = SceneInstances(
        attributes=np.full((n, MAX_THINGS, len(ATTRIBUTES)), -1, np.int8),
        boxes=np.zeros((n, MAX_THINGS, 4), np.float32),
        counts=np.zeros((n, COUNTED), np.int8),
        regions=np.full((n, patches), -1, np.int8),
        centers=np.full((n, MAX_THINGS), -1, np.int16),
        instances=np.zeros((n, IMAGE, IMAGE), np.uint8),
    )
    for row, scene in enumerate(scenes):
        _fill(out, row, scene, grid)
        if progress is not None and row % 500 == 0:
            progress(row, n)
    return out


def _fill(out: SceneInstances, row: int, scene: Scene, grid: tuple[int, int]) -> None:
    instances = dense_targets(scene).instances.copy()
    boxes: list[Box] = []
    for index, item in enumerate(scene.objects):
        values = (SIZES.index(item.size), COLOR_NAMES.index(item.color), SHAPES.index(item.shape), _cell(item.box))
        out.attributes[row, index, : len(values)] = values
        out.counts[row, [0, 1 + values[COLOR], 1 + len(COLOR_NAMES) + values[SHAPE]]] += 1
        boxes.append(item.box)
    if scene.text is not None:
        ink = instances == len(boxes) + 1
        single = len(scene.text.text) == 1
        word = -1 if single else WORDS.index(scene.text.text)
        for order, (letter, box) in enumerate(letters(scene.text)):
            index = len(boxes)
            out.attributes[row, index, CELL:] = (
                _cell(scene.text.box),
                ALPHABET.index(letter),
                word,
                -1 if single else order,
            )
            columns = slice(box.x0, box.x1 if order + 1 < len(scene.text.text) else IMAGE)
            instances[:, columns][ink[:, columns]] = index + 1
            boxes.append(box)
    out.instances[row] = instances
    out.boxes[row, : len(boxes)] = [box.fractions for box in boxes]
    regions, centers = _patches(instances, boxes, grid)
    out.regions[row] = regions
    out.centers[row, : len(boxes)] = centers


def letters(text: SceneText) -> Iterator[tuple[str, Box]]:
    """Yields every letter of a text with the box that it is drawn in."""
    box = text.box
    size = ((box.x1 - box.x0) * SCALE, (box.y1 - box.y0) * SCALE)
    ink = text_mask(text.text, *size).getbbox() or (0, 0, *size)
    ends = _advances(text.text)
    for letter, start, end in zip(text.text, (0.0, *ends[:-1]), ends, strict=True):
        x0, x1 = (box.x0 + round((ink[0] + part * (ink[2] - ink[0])) / SCALE) for part in (start, end))
        yield letter, Box(x0, box.y0 + ink[1] // SCALE, x1, box.y0 + -(-ink[3] // SCALE))


@lru_cache(maxsize=256)
def _advances(text: str) -> tuple[float, ...]:
    """Returns where each letter ends, as parts of the text's width."""
    font = ImageFont.load_default(size=100)
    return tuple(font.getlength(text[: end + 1]) / font.getlength(text) for end in range(len(text)))


def _cell(box: Box) -> int:
    x, y = box.center
    return 3 * int(3 * y / IMAGE) + int(3 * x / IMAGE)


def _patches(
    instances: NDArray[np.uint8], boxes: Sequence[Box], grid: tuple[int, int]
) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """Returns the thing that each patch shows most of, and the patch of each thing's centre."""
    rows, columns = (np.arange(IMAGE) * parts // IMAGE for parts in grid)
    patch = rows[:, None] * grid[1] + columns[None, :]
    patches, kinds = grid[0] * grid[1], MAX_THINGS + 1
    pixels = np.bincount((patch * kinds + instances).ravel(), minlength=patches * kinds).reshape(patches, kinds)
    regions = pixels[:, 1:].argmax(1).astype(np.int8)
    regions[pixels[:, 1:].max(1) < _LEAST_SHARE * pixels.sum(1)] = -1
    middles = [(int(y), int(x)) for x, y in (box.center for box in boxes)]
    centers = np.array([patch[place] for place in middles], np.int16)
    regions[centers] = np.arange(len(boxes))
    return regions, centers
