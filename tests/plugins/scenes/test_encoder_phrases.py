"""What is said of a thing is true of it, and truth is decided the same way for every other thing."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from cobra_kit_scenes.encoders.phrases import batch_counts, batch_phrases, counting, fits, phrase_of, wording
from cobra_kit_scenes.encoders.scene_instances import things_of
from cobra_kit_scenes.splits import scene_of

SCENES = [scene_of(0, "towers", index) for index in range(80)]
THINGS = things_of(SCENES, (8, 8))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ((-1, 0, 0, -1, -1, -1, -1), "a red circle"),
        ((1, 1, 3, -1, -1, -1, -1), "a large orange star"),
        ((-1, 1, -1, -1, -1, -1, -1), "an orange object"),
        ((-1, -1, -1, 4, -1, -1, -1), "an object at the center"),
        ((-1, -1, 2, 8, -1, -1, -1), "a triangle at the bottom right"),
        ((-1, -1, -1, -1, 1, -1, -1), "the letter B"),
        ((-1, -1, -1, 1, 1, -1, -1), "the letter B at the top"),
        ((-1, -1, -1, -1, 2, -1, 0), "the first letter C"),
        ((-1, -1, -1, -1, -1, 0, -1), "the word CAT"),
    ],
)
def test_wording(pattern: tuple[int, ...], words: str) -> None:
    assert wording(pattern) == words


def test_numbers_are_worded() -> None:
    assert counting(0, 1) == "one object"
    assert counting(1, 2) == "two red objects"
    assert counting(7 + 4, 3) == "three crosses"
    assert counting(7, 0) == "no circles"


def test_a_phrase_fits_its_thing_and_what_shares_its_attributes() -> None:
    rng = Random(0)
    present = THINGS.present()
    for row, which in zip(*np.nonzero(present), strict=True):
        thing = THINGS.attributes[row, which]
        pattern = np.array([phrase_of(thing, rng)], np.int8)
        assert (pattern >= 0).any(), "it says something"
        assert fits(pattern, thing)[0]
        named = np.flatnonzero(pattern[0] >= 0)
        expected = (THINGS.attributes[..., named] == pattern[0, named]).all(-1)
        assert (fits(pattern, THINGS.attributes)[..., 0] == expected).all()


def test_batches_hold_each_phrase_once_and_are_repeatable() -> None:
    rows = np.arange(40)
    phrases = batch_phrases(THINGS, rows, Random(1))
    assert len(phrases) == len(set(phrases)) > 20
    assert phrases == batch_phrases(THINGS, rows, Random(1)) != batch_phrases(THINGS, rows, Random(2))
    counts = batch_counts(THINGS, rows, Random(1))
    assert len(counts) == len(set(counts))
    for what, number in counts:
        assert (THINGS.counts[rows, what] == number).any()
