"""Questions whether an object is in the image, with the three kinds of negatives of POPE.

random: any absent pair of color and shape. popular: an absent pair that is among the pairs seen most often in
the training images. adversarial: an absent pair whose color and shape are both in the image, on different
objects. Level 1: one object in the image; level 2: more. Level 3: whether it is in a half of the image; the adversarial
negative is then a pair that is in the image, but not there.

The world draws every pair equally often, on purpose: a frequent pair would let a model guess colors from
shapes. So popular negatives are hardly harder than random ones; adversarial ones are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Literal, get_args

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.questions.places import PLACES, is_in
from cobra_kit_scenes.vocabulary import PAIRS, article

Negatives = Literal["random", "popular", "adversarial"]
NEGATIVES: tuple[Negatives, ...] = get_args(Negatives)

NUM_POPULAR = len(PAIRS) // 3


def popular_pairs(scenes: Iterable[Scene]) -> tuple[tuple[str, str], ...]:
    """Returns the third of all pairs that occurs most often in the scenes."""
    counts = Counter(item.pair for scene in scenes for item in scene.objects)
    return tuple(sorted(PAIRS, key=lambda pair: (-counts[pair], pair))[:NUM_POPULAR])


def presence_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns the training questions: pairs that are there, random and adversarial negatives; the same at places."""
    if not scene.objects:
        return []
    negatives = absent(scene, "random", ())
    hard = absent(scene, "adversarial", ())
    count = len(scene.objects)
    chosen = rng.sample(negatives, min(count, len(negatives))) + rng.sample(hard, min(count, len(hard)))
    pairs = sorted(scene.pairs)
    return [ask(scene, pair) for pair in (*pairs, *dict.fromkeys(chosen))] + at_places(scene, pairs, (*pairs, *hard))


def held_out_presence(scene: Scene, kind: Negatives, popular: tuple[tuple[str, str], ...]) -> list[Question]:
    """Returns the candidates of one POPE file: pairs that are there and pairs of this kind that are not.

    For the popular file the positives are popular, too: otherwise the words would give the answer away.
    """
    absentees = absent(scene, kind, popular)
    positives = [pair for pair in sorted(scene.pairs) if kind != "popular" or pair in popular]
    named = [ask(scene, pair) for pair in (*positives, *absentees)] if absentees and positives else []
    return named + at_places(scene, positives, positives if kind == "adversarial" else absentees)


def at_places(
    scene: Scene, positives: Sequence[tuple[str, str]], negatives: Sequence[tuple[str, str]]
) -> list[Question]:
    """Returns "Is there a red circle on the left?" for every place and pair where the answer is clear.

    Args:
        scene: What is asked about.
        positives: The pairs that are asked for where they are.
        negatives: The pairs that are asked for where they are not: one that is in the image at every other place, one
            that is not wherever something stands.
    """
    questions = []
    for place in PLACES:
        holds = {item.pair: is_in(item.box, place) for item in scene.objects}
        empty = True not in holds.values()
        here = [pair for pair in positives if holds.get(pair)]
        not_here = [pair for pair in negatives if holds.get(pair, None if empty else False) is False]
        questions += [_at_place(pair, place, "yes") for pair in here]
        questions += [_at_place(pair, place, "no") for pair in not_here]
    return questions


def absent(scene: Scene, kind: Negatives, popular: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Returns the absent pairs of a kind, in a fixed order."""
    there = scene.pairs
    if kind == "adversarial":
        colors, shapes = {color for color, _ in there}, {shape for _, shape in there}
        return [pair for pair in PAIRS if pair not in there and pair[0] in colors and pair[1] in shapes]
    return [pair for pair in (popular if kind == "popular" else PAIRS) if pair not in there]


def ask(scene: Scene, pair: tuple[str, str]) -> Question:
    """Returns "Is there a red circle in the image?" about this scene."""
    return Question(
        ability="presence",
        level=1 if len(scene.objects) == 1 else 2,
        template="is there a",
        text=f"Is there {article(' '.join(pair))} in the image?",
        answer="yes" if pair in scene.pairs else "no",
        choices=("yes", "no"),
    )


def _at_place(pair: tuple[str, str], place: str, answer: str) -> Question:
    return Question(
        ability="presence",
        level=3,
        template="is there a, at a place",
        text=f"Is there {article(' '.join(pair))} {place}?",
        answer=answer,
        choices=("yes", "no"),
        other=place,
    )
