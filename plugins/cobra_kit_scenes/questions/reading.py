"""Questions whose answer is read off the image.

Level 1: one large letter. Level 2: a small letter among objects. Level 3: a word of three or four letters.
"""

from __future__ import annotations

from random import Random

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.vocabulary import LETTERS, WORDS

_LETTERS = tuple(letter.lower() for letter in LETTERS)
_WORDS = tuple(word.lower() for word in WORDS)

_FORMS = {
    "letter": (1, "what letter is this", "What letter is this?", _LETTERS),
    "tagged": (2, "what letter is in the", "What letter is in the image?", _LETTERS),
    "word": (3, "what word is in the", "What word is in the image?", _WORDS),
}


def reading_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns the question about the text of the scene, if it has one."""
    if scene.text is None:
        return []
    level, template, text, choices = _FORMS[scene.kind]
    return [
        Question(
            ability="reading",
            level=level,
            template=template,
            text=text,
            answer=scene.text.text.lower(),
            choices=choices,
        )
    ]
