"""Draws a scene: four times as large, then averaged down, so that edges are smooth."""

from __future__ import annotations

import math
from functools import cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cobra_kit_scenes.glyphs import text_mask
from cobra_kit_scenes.layout import Box, Scene
from cobra_kit_scenes.vocabulary import COLORS, IMAGE

SCALE = 4
_CANVAS = (IMAGE * SCALE, IMAGE * SCALE)
_TINT, _NOISE, _INK = 10, 4, (246, 246, 240)


def draw(scene: Scene) -> NDArray[np.uint8]:
    """Returns the image, `[64 64 3]` uint8 RGB; the same scene always gives the same pixels."""
    style = Random(scene.style)
    background = tuple(style.randint(26, 62) for _ in range(3))
    image = Image.new("RGB", _CANVAS, background)
    canvas = ImageDraw.Draw(image)
    _clutter(canvas, background, style)
    for item in scene.objects:
        color = tuple(min(255, max(0, value + style.randint(-_TINT, _TINT))) for value in COLORS[item.color])
        fill_shape(canvas, item.shape, item.box, color)
    if scene.text is not None:
        box = scene.text.box
        mask = text_mask(scene.text.text, (box.x1 - box.x0) * SCALE, (box.y1 - box.y0) * SCALE)
        image.paste(_INK, (box.x0 * SCALE, box.y0 * SCALE), mask)
    pixels = np.asarray(image.reduce(SCALE), dtype=np.int16)
    noise = np.frombuffer(style.randbytes(pixels.size), dtype=np.uint8).reshape(pixels.shape)
    noisy = pixels + (noise % (2 * _NOISE + 1)) - _NOISE
    image_pixels: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
    return image_pixels


def fill_shape(
    canvas: ImageDraw.ImageDraw, shape: str, box: Box, color: tuple[int, ...] | int, scale: int = SCALE
) -> None:
    """Fills one shape that touches all four sides of its box; the canvas is `scale` times the image."""
    x0, y0, x1, y1 = (value * scale for value in box)
    if shape == "circle":
        canvas.ellipse((x0, y0, x1 - 1, y1 - 1), fill=color)
        return
    width, height = x1 - x0 - 1, y1 - y0 - 1
    canvas.polygon([(x0 + u * width, y0 + v * height) for u, v in _outline(shape)], fill=color)


@cache
def _outline(shape: str) -> tuple[tuple[float, float], ...]:
    """Returns the corners of a shape in its unit box."""
    if shape == "square":
        return ((0, 0), (1, 0), (1, 1), (0, 1))
    if shape == "triangle":
        return ((0.5, 0), (1, 1), (0, 1))
    if shape == "diamond":
        return ((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5))
    if shape == "cross":
        a, b = 0.32, 0.68
        return (
            (a, 0),
            (b, 0),
            (b, a),
            (1, a),
            (1, b),
            (b, b),
            (b, 1),
            (a, 1),
            (a, b),
            (0, b),
            (0, a),
            (a, a),
        )
    assert shape == "star", shape
    turns = [math.pi * step / 5 for step in range(10)]
    radii = [1.0 if step % 2 == 0 else 0.42 for step in range(10)]
    points = [(r * math.sin(t), -r * math.cos(t)) for r, t in zip(radii, turns, strict=True)]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    return tuple(((x - left) / (right - left), (y - top) / (bottom - top)) for x, y in points)


def _clutter(canvas: ImageDraw.ImageDraw, background: tuple[int, ...], style: Random) -> None:
    """Draws faint grey lines and dots that belong to no object."""
    for _ in range(style.randint(2, 5)):
        shade = style.randint(14, 34)
        color = tuple(value + shade for value in background)
        x, y = (style.randrange(size) for size in _CANVAS)
        if style.random() < 0.6:
            angle, length = style.uniform(0, math.tau), style.randint(40, 140)
            end = (x + length * math.cos(angle), y + length * math.sin(angle))
            canvas.line((x, y, *end), fill=color, width=style.randint(3, 6))
        else:
            radius = style.randint(4, 9)
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
