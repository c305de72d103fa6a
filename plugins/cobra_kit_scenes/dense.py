"""The looks of an image, pixel by pixel: the targets of dense pretraining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cobra_kit_scenes.drawing import SCALE, fill_shape
from cobra_kit_scenes.glyphs import text_mask
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.vocabulary import COLOR_NAMES, IMAGE, SHAPES

TEXT_CLASS = len(SHAPES)
"""The value that stands for text among shape indices."""


@dataclass(frozen=True, slots=True)
class DenseTargets:
    """Targets of one image with k things: its objects in order, then the text if there is one.

    Args:
        instances: `[64 64]` uint8; 0 is background, i + 1 is thing i, which covers half of the
            pixel or more.
        boxes: `[k 4]` float32, (x0, y0, x1, y1) as parts of the image.
        shapes: `[k]` int64 indices into `SHAPES`; `TEXT_CLASS` for text.
        colors: `[k]` int64 indices into `COLOR_NAMES`; -1 for text.
    """

    instances: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    shapes: NDArray[np.int64]
    colors: NDArray[np.int64]

    @property
    def objectness(self) -> NDArray[np.bool_]:
        """Returns, `[64 64]`, whether each pixel belongs to anything."""
        return self.instances > 0

    def shape_map(self) -> NDArray[np.int64]:
        """Returns `[64 64]`: 0 for background, else 1 + the shape's index."""
        return np.concatenate([[0], self.shapes + 1])[self.instances]

    def color_map(self) -> NDArray[np.int64]:
        """Returns `[64 64]`: 0 for background and text, else 1 + the color's index."""
        return np.concatenate([[0], self.colors + 1])[self.instances]


def dense_targets(scene: Scene) -> DenseTargets:
    """Returns boxes, classes and a segmentation of everything in the scene."""
    instances = np.zeros((IMAGE, IMAGE), np.uint8)
    for index, item in enumerate(scene.objects):
        mask = Image.new("L", (IMAGE * SCALE, IMAGE * SCALE))
        fill_shape(ImageDraw.Draw(mask), item.shape, item.box, 255)
        instances[np.asarray(mask.reduce(SCALE)) >= 128] = index + 1
    boxes = [item.box for item in scene.objects]
    shapes = [SHAPES.index(item.shape) for item in scene.objects]
    colors = [COLOR_NAMES.index(item.color) for item in scene.objects]
    if scene.text is not None:
        box = scene.text.box
        mask = text_mask(scene.text.text, (box.x1 - box.x0) * SCALE, (box.y1 - box.y0) * SCALE).reduce(SCALE)
        instances[box.y0 : box.y1, box.x0 : box.x1][np.asarray(mask) >= 128] = len(boxes) + 1
        boxes, shapes, colors = [*boxes, box], [*shapes, TEXT_CLASS], [*colors, -1]
    return DenseTargets(
        instances,
        np.array([box.fractions for box in boxes], np.float32).reshape(-1, 4),
        np.array(shapes, np.int64),
        np.array(colors, np.int64),
    )
