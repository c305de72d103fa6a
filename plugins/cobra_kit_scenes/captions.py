"""The content of an image in one sentence: the text half of contrastive pretraining."""

from __future__ import annotations

from random import Random

from cobra_kit_scenes.layout import Box, Scene
from cobra_kit_scenes.vocabulary import IMAGE, article


def caption(scene: Scene, rng: Random) -> str:
    """Returns a sentence with every object (size, color, shape, place) and the text, in random order.

    Such as "a small red circle at the top left and the letter B at the center".
    """
    parts = [f"{article(f'{item.size} {item.name}')} at the {place_name(item.box)}" for item in scene.objects]
    if scene.text is not None:
        noun = "letter" if len(scene.text.text) == 1 else "word"
        parts.append(f"the {noun} {scene.text.text} at the {place_name(scene.text.box)}")
    rng.shuffle(parts)
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def place_name(box: Box) -> str:
    """Returns the cell of a 3 x 3 grid that holds the centre of the box: "top left", "center", "right"."""
    x, y = box.center
    row = ("top", "", "bottom")[int(3 * y / IMAGE)]
    column = ("left", "", "right")[int(3 * x / IMAGE)]
    return " ".join(part for part in (row, column) if part) or "center"
