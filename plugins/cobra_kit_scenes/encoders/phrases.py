"""The content of images in pieces: short phrases on single things, phrases that count, and which images they fit.

A phrase is a pattern of attributes and its wording. It fits a thing that has all attributes that it names, so a
phrase made for one image is known to be true or false of every other one. No torch.
"""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from cobra_kit_scenes.encoders.scene_instances import (
    ALPHABET,
    ATTRIBUTES,
    CELL,
    COLOR,
    COUNTED,
    LETTER,
    ORDER,
    SHAPE,
    SIZE,
    SIZES,
    WORD,
    SceneInstances,
)
from cobra_kit_scenes.vocabulary import COLOR_NAMES, SHAPES, WORDS, article

Pattern = tuple[int, ...]
"""One value per attribute of `ATTRIBUTES`; -1: any."""

_PLACES = (
    *("top left", "top", "top right"),
    *("left", "center", "right"),
    *("bottom left", "bottom", "bottom right"),
)
_ORDINALS = ("first", "second", "third", "fourth")
_NUMBERS = ("no", "one", "two", "three", "four", "five")
_OBJECT_FORMS = ((COLOR, SHAPE), (COLOR,), (SHAPE,), (SIZE, COLOR, SHAPE), (COLOR, SHAPE, CELL), (SHAPE, CELL), (CELL,))
_OBJECT_WEIGHTS = (3, 1, 3, 1, 1, 1, 1)
_LETTER_FORMS = ((LETTER,), (LETTER, CELL))
_LETTER_WEIGHTS = (3, 1)
_WORD_FORMS = ((LETTER,), (LETTER, ORDER), (WORD,), (WORD, CELL))
_WORD_WEIGHTS = (2, 2, 3, 1)


def phrase_of(attributes: NDArray[np.int8], rng: Random) -> Pattern:
    """Returns a phrase that fits the thing with these `[7]` attributes."""
    if attributes[COLOR] >= 0:
        named = rng.choices(_OBJECT_FORMS, _OBJECT_WEIGHTS)[0]
    elif attributes[WORD] >= 0:
        named = rng.choices(_WORD_FORMS, _WORD_WEIGHTS)[0]
    else:
        named = rng.choices(_LETTER_FORMS, _LETTER_WEIGHTS)[0]
    return tuple(int(attributes[i]) if i in named else -1 for i in range(len(ATTRIBUTES)))


def wording(pattern: Pattern) -> str:
    """Returns the phrase in words, such as "a small red circle" or "the first letter B at the top left"."""
    if pattern[WORD] >= 0:
        noun = f"the word {WORDS[pattern[WORD]]}"
    elif pattern[LETTER] >= 0:
        ordinal = f"{_ORDINALS[pattern[ORDER]]} " if pattern[ORDER] >= 0 else ""
        noun = f"the {ordinal}letter {ALPHABET[pattern[LETTER]]}"
    else:
        words = [names[pattern[i]] for i, names in ((SIZE, SIZES), (COLOR, COLOR_NAMES)) if pattern[i] >= 0]
        noun = article(" ".join([*words, SHAPES[pattern[SHAPE]] if pattern[SHAPE] >= 0 else "object"]))
    return noun if pattern[CELL] < 0 else f"{noun} at the {_PLACES[pattern[CELL]]}"


def fits(patterns: NDArray[np.int8], attributes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Returns `[.. p]`: whether each of the phrases `[p 7]` fits each thing `[.. 7]`."""
    wanted = patterns[(None,) * (attributes.ndim - 1)]
    matches: NDArray[np.bool_] = ((wanted < 0) | (wanted == attributes[..., None, :])).all(-1)
    return matches


def counting(counted: int, number: int) -> str:
    """Returns a phrase that counts objects by one of `COUNTED`, such as "two red objects" or "three circles"."""
    assert 0 <= counted < COUNTED
    if counted > len(COLOR_NAMES):
        noun = SHAPES[counted - 1 - len(COLOR_NAMES)]
        plural = {"cross": "crosses"}.get(noun, f"{noun}s")
    else:
        noun = f"{COLOR_NAMES[counted - 1]} object" if counted else "object"
        plural = f"{noun}s"
    return f"{_NUMBERS[number]} {noun if number == 1 else plural}"


def batch_phrases(things: SceneInstances, rows: NDArray[np.int64], rng: Random) -> list[Pattern]:
    """Returns one phrase per thing of the images `rows`, each phrase once."""
    # A dict and not a set: phrases stay in the order of their images, so a run repeats bit for bit.
    chosen = {
        phrase_of(attributes, rng): None
        for row in rows
        for attributes, center in zip(things.attributes[row], things.centers[row], strict=True)
        if center >= 0
    }
    return list(chosen)


def batch_counts(things: SceneInstances, rows: NDArray[np.int64], rng: Random) -> list[tuple[int, int]]:
    """Returns a phrase that counts for every image of `rows`: (what is counted, number), each once."""
    chosen: dict[tuple[int, int], None] = {}
    for row in rows:
        there = np.flatnonzero(things.counts[row])
        # Of what is there, or of objects in all: most colours and shapes are missing, and "no" would be the usual
        # number.
        counted = 0 if rng.random() < 0.3 or not len(there) else int(rng.choice(there.tolist()))
        chosen[counted, int(things.counts[row, counted])] = None
    return list(chosen)
