"""True or false statements about places.

Level 1: the half of the image in which its only thing is, an object or a large letter. Level 2: how two
objects stand to each other, nothing else in the image. Level 3: the same with more in the image.
"""

from __future__ import annotations

from random import Random

from cobra_kit_scenes.layout import Box, Scene, SceneObject
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.questions.places import MARGIN, PLACES, is_in

_CHOICES = ("true", "false")
_RELATIONS = ("left of", "right of", "above", "below")
_MAX_PAIRS = 4


def spatial_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns true and false statements; places too close to call are left out."""
    if scene.kind == "single":
        return _side_statements("object", scene.objects[0].box)
    if scene.kind == "letter" and scene.text is not None:
        return _side_statements("letter", scene.text.box)
    pairs = [(a, b) for a in scene.objects for b in scene.objects if a is not b]
    rng.shuffle(pairs)
    level = 2 if len(scene.objects) == 2 and scene.text is None else 3
    return [statement for a, b in pairs[:_MAX_PAIRS] for statement in _relation_statements(a, b, level)]


def _side_statements(noun: str, box: Box) -> list[Question]:
    sides = [(place, is_in(box, place)) for place in PLACES]
    return [
        Question(
            ability="spatial",
            level=1,
            template=relation,
            text=f"The {noun} is {relation}.",
            answer="true" if holds else "false",
            choices=_CHOICES,
            subject=noun,
            other="image",
        )
        for relation, holds in sides
        if holds is not None
    ]


def _relation_statements(a: SceneObject, b: SceneObject, level: int) -> list[Question]:
    (ax, ay), (bx, by) = a.box.center, b.box.center
    offsets = (bx - ax, ax - bx, by - ay, ay - by)
    return [
        Question(
            ability="spatial",
            level=level,
            template=relation,
            text=f"The {a.name} is {relation} the {b.name}.",
            answer="true" if offset > 0 else "false",
            choices=_CHOICES,
            subject=a.name,
            other=b.name,
        )
        for relation, offset in zip(_RELATIONS, offsets, strict=True)
        if abs(offset) >= MARGIN
    ]
