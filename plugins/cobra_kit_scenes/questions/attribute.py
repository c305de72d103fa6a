"""The color or the shape of one object, named by its other attribute.

Level 1: the only object of the image. Level 2: the only one of its shape (or color) among two to five.
Level 3: the only one in a half of the image, among two to five; neither its color nor its shape is named.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Literal

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.questions.places import lone_objects
from cobra_kit_scenes.vocabulary import COLOR_NAMES, SHAPES


def color_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns "What color is the circle?" for every shape that occurs once, and the same of lone objects."""
    shapes = Counter(item.shape for item in scene.objects)
    named = [
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
    return named + _at_places(scene, "color", COLOR_NAMES)


def shape_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns "What shape is the red object?" for every color that occurs once, and the same of lone objects."""
    colors = Counter(item.color for item in scene.objects)
    named = [
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
    return named + _at_places(scene, "shape", SHAPES)


def _at_places(scene: Scene, ability: Literal["color", "shape"], choices: tuple[str, ...]) -> list[Question]:
    return [
        Question(
            ability=ability,
            level=3,
            template=f"what {ability} is the object at a place",
            text=f"What {ability} is the object {place}?",
            answer=item.color if ability == "color" else item.shape,
            choices=choices,
            other=place,
        )
        for place, item in lone_objects(scene)
    ]


def _level(scene: Scene) -> int:
    return 1 if len(scene.objects) == 1 else 2
