"""One file per ability; each gives every question of its kind that a scene can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.attribute import color_questions, shape_questions
from cobra_kit_scenes.questions.base import ABILITIES, HARDEST_UNASKED, LEVELS, MAX_LEVEL, Ability, Question
from cobra_kit_scenes.questions.box import answer_text, box_questions
from cobra_kit_scenes.questions.count import count_questions
from cobra_kit_scenes.questions.presence import presence_questions
from cobra_kit_scenes.questions.reading import reading_questions
from cobra_kit_scenes.questions.spatial import spatial_questions

ASK: Mapping[Ability, Callable[[Scene, Random], list[Question]]] = {
    "color": color_questions,
    "shape": shape_questions,
    "count": count_questions,
    "presence": presence_questions,
    "spatial": spatial_questions,
    "reading": reading_questions,
    "box": box_questions,
}
"""Candidates per ability."""

__all__ = ["ABILITIES", "ASK", "HARDEST_UNASKED", "LEVELS", "MAX_LEVEL", "Ability", "Question", "answer_text"]
