"""The content of an image in one sentence: the text half of contrastive pretraining."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from cobra_kit_scenes.layout import Box, Scene
from cobra_kit_scenes.vocabulary import IMAGE, article


def caption(scene: Scene, rng: Random) -> str:
    """Returns a sentence with every object (size, color, shape, place) and the text, in random order.

    Such as "a small red circle at the top left and the letter B at the center".
    """
    parts = listed(scene, lambda box: f"at the {place_name(box)}", rng)
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def listed(scene: Scene, where: Callable[[Box], str], rng: Random) -> list[str]:
    """Returns every object and the text, each with where it is, in random order."""
    parts = [f"{article(f'{item.size} {item.name}')} {where(item.box)}" for item in scene.objects]
    if scene.text is not None:
        noun = "letter" if len(scene.text.text) == 1 else "word"
        parts.append(f"the {noun} {scene.text.text} {where(scene.text.box)}")
    rng.shuffle(parts)
    return parts


def place_name(box: Box) -> str:
    """Returns the cell of a 3 x 3 grid that holds the centre of the box: "top left", "center", "right"."""
    x, y = cell(box)
    row, column = ("top", "", "bottom")[y], ("left", "", "right")[x]
    return " ".join(part for part in (row, column) if part) or "center"


def cell(box: Box) -> tuple[int, int]:
    """Returns column and row of the cell of a 3 x 3 grid that holds the centre."""
    x, y = box.center
    return int(3 * x / IMAGE), int(3 * y / IMAGE)
