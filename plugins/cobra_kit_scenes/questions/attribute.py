"""The color or the shape of one object, named by its other attribute.

Level 1: the only object of the image. Level 2: the only one of its shape (or color) among two to five.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.vocabulary import COLOR_NAMES, SHAPES


def color_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns "What color is the circle?" for every shape that occurs once."""
    shapes = Counter(item.shape for item in scene.objects)
    return [
        Question(
            ability="color",
            level=_level(scene),
            template="what color is the",
            text=f"What color is the {item.shape}?",
            answer=item.color,
            choices=COLOR_NAMES,
        )
        for item in scene.objects
        if shapes[item.shape] == 1
    ]


def shape_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns "What shape is the red object?" for every color that occurs once."""
    colors = Counter(item.color for item in scene.objects)
    return [
        Question(
            ability="shape",
            level=_level(scene),
            template="what shape is the",
            text=f"What shape is the {item.color} object?",
            answer=item.shape,
            choices=SHAPES,
        )
        for item in scene.objects
        if colors[item.color] == 1
    ]


def _level(scene: Scene) -> int:
    return 1 if len(scene.objects) == 1 else 2
