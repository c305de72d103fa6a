"""Boxes of referring expressions.

Level 1: the quarter of the image that holds its only thing. Level 2: the box of the only object.
Level 3: the box of one object among two to five.
"""

from __future__ import annotations

from random import Random

from cobra_kit_scenes.layout import Box, Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.questions.places import MARGIN
from cobra_kit_scenes.vocabulary import IMAGE

_HALF = IMAGE // 2
_QUARTERS = tuple(Box(x, y, x + _HALF, y + _HALF) for y in (0, _HALF) for x in (0, _HALF))


def box_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns one expression per object, and the quarter where there is one thing only."""
    if scene.kind == "letter" and scene.text is not None:
        return _quarter("letter", scene.text.box)
    level = 2 if scene.kind == "single" else 3
    if level == 3 and len(scene.objects) < 2:
        return []
    questions = [
        Question(ability="box", level=level, template="region", text=f"the {item.name}", answer="", box=item.box)
        for item in scene.objects
    ]
    return _quarter("object", scene.objects[0].box) + questions if level == 2 else questions


def box_text(box: Box) -> str:
    """Returns the box as models write it: `[x0, y0, x1, y1]`, parts of the image with two decimals."""
    return f"[{', '.join(f'{value:.2f}' for value in box.fractions)}]"


def answer_text(question: Question) -> str:
    """Returns the true answer as it is written out, a box as numbers."""
    return question.answer if question.box is None else box_text(question.box)


def _quarter(noun: str, box: Box) -> list[Question]:
    x, y = box.center
    if abs(x - _HALF) < MARGIN or abs(y - _HALF) < MARGIN:
        return []
    quarter = _QUARTERS[2 * (y > _HALF) + (x > _HALF)]
    return [
        Question(
            ability="box",
            level=1,
            template="quarter",
            text=f"the quarter with the {noun}",
            answer=box_text(quarter),
            choices=tuple(box_text(item) for item in _QUARTERS),
            box=quarter,
        )
    ]
