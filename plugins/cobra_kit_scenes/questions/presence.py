"""Questions whether an object is in the image, with the three kinds of negatives of POPE.

random: any absent pair of color and shape. popular: an absent pair that is among the pairs seen most often in
the training images. adversarial: an absent pair whose color and shape are both in the image, on different
objects. Level 1: one object in the image; level 2: more.

The world draws every pair equally often, on purpose: a frequent pair would let a model guess colors from
shapes. So popular negatives are hardly harder than random ones; adversarial ones are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Literal, get_args

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions.base import Question
from cobra_kit_scenes.vocabulary import PAIRS, article

Negatives = Literal["random", "popular", "adversarial"]
NEGATIVES: tuple[Negatives, ...] = get_args(Negatives)

NUM_POPULAR = len(PAIRS) // 3


def popular_pairs(scenes: Iterable[Scene]) -> tuple[tuple[str, str], ...]:
    """Returns the third of all pairs that occurs most often in the scenes."""
    counts = Counter(item.pair for scene in scenes for item in scene.objects)
    return tuple(sorted(PAIRS, key=lambda pair: (-counts[pair], pair))[:NUM_POPULAR])


def presence_questions(scene: Scene, rng: Random) -> list[Question]:
    """Returns the training questions: pairs that are there, random and adversarial negatives."""
    if not scene.objects:
        return []
    negatives = absent(scene, "random", ())
    hard = absent(scene, "adversarial", ())
    count = len(scene.objects)
    chosen = rng.sample(negatives, min(count, len(negatives))) + rng.sample(hard, min(count, len(hard)))
    return [ask(scene, pair) for pair in (*sorted(scene.pairs), *dict.fromkeys(chosen))]


def held_out_presence(scene: Scene, kind: Negatives, popular: tuple[tuple[str, str], ...]) -> list[Question]:
    """Returns the candidates of one POPE file: pairs that are there and pairs of this kind that are not.

    For the popular file the positives are popular, too: otherwise the words would give the answer away.
    """
    negatives = absent(scene, kind, popular)
    positives = [pair for pair in sorted(scene.pairs) if kind != "popular" or pair in popular]
    if not negatives or not positives:
        return []
    return [ask(scene, pair) for pair in (*positives, *negatives)]


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
