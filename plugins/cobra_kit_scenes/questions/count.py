"""Questions about how many objects there are.

Level 1: all of them, one to five. Level 2: those of one color or shape, none to three.
"""

from __future__ import annotations

from random import Random

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.vocabulary import COLOR_NAMES, MAX_OBJECTS, SHAPES

ALL = tuple(str(number) for number in range(1, MAX_OBJECTS + 1))
SOME = ("0", "1", "2", "3")


def count_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns "How many objects are there?" and, from two objects on, one per color and shape."""
    if not scene.objects:
        return []
    questions = [_question(1, "how many objects", "objects", len(scene.objects), ALL)]
    if len(scene.objects) > 1:
        for color in COLOR_NAMES:
            number = sum(item.color == color for item in scene.objects)
            questions.append(_question(2, "how many of a color", f"{color} objects", number, SOME))
        for shape in SHAPES:
            number = sum(item.shape == shape for item in scene.objects)
            plural = f"{shape}es" if shape.endswith("s") else f"{shape}s"
            questions.append(_question(2, "how many of a shape", plural, number, SOME))
    return [question for question in questions if question.answer in question.choices]


def _question(level: int, template: str, noun: str, number: int, choices: tuple[str, ...]) -> Question:
    return Question(
        ability="count",
        level=level,
        template=template,
        text=f"How many {noun} are there?",
        answer=str(number),
        choices=choices,
    )
