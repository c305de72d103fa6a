"""Chooses the held-out questions of a split, benchmark by benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cobra_kit_scenes.balance import Balancer
from cobra_kit_scenes.benchmark_prompts import Benchmark
from cobra_kit_scenes.held_out_levels import LevelQuota, LevelWeights
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions import ASK, HARDEST_UNASKED, LEVELS, Ability, Question
from cobra_kit_scenes.questions.presence import Negatives, held_out_presence
from cobra_kit_scenes.splits import image_rng
from cobra_kit_scenes.vocabulary import Split

_ABILITIES: dict[Benchmark, tuple[Ability, ...]] = {
    "vqav2": ("color", "shape", "count"),
    "vsr": ("spatial",),
    "textvqa": ("reading",),
    "refcoco": ("box",),
}
_NEGATIVES: dict[Benchmark, Negatives] = {
    "pope_random": "random",
    "pope_popular": "popular",
    "pope_adversarial": "adversarial",
}
_PER_IMAGE: dict[Benchmark, int] = {"pope_popular": 2, "pope_adversarial": 2}
"""One question per image and benchmark, but for negatives that few images allow; and as many about a place, which
take no room from the rest."""

_SLACK = 4

BENCHMARKS: tuple[Benchmark, ...] = ("vqav2", *_NEGATIVES, "vsr", "textvqa", "refcoco")


def benchmark_of(ability: Ability) -> Benchmark:
    """Returns the benchmark whose prompts and answers an ability uses."""
    return next((name for name, abilities in _ABILITIES.items() if ability in abilities), "pope_random")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A question about the image `index` of its split."""

    index: int
    question: Question


def held_out_questions(
    scenes: Sequence[Scene],
    split: Split,
    seed: int,
    popular: tuple[tuple[str, str], ...],
    levels: Mapping[Ability, LevelWeights] | None = None,
) -> dict[Benchmark, list[HeldOut]]:
    """Returns the questions of every benchmark, one or two per image, in the order of the images.

    Args:
        scenes: All scenes of the split.
        split: Name of that split.
        seed: The seed of the world.
        popular: The popular pairs of the training images.
        levels: The mix of levels per ability; of one that is left out, whatever the images allow.
    """
    return {benchmark: _choose(benchmark, scenes, split, seed, popular, levels or {}) for benchmark in BENCHMARKS}


def _choose(
    benchmark: Benchmark,
    scenes: Sequence[Scene],
    split: Split,
    seed: int,
    popular: tuple[tuple[str, str], ...],
    levels: Mapping[Ability, LevelWeights],
) -> list[HeldOut]:
    balancer = Balancer(_SLACK)
    quota = LevelQuota(levels, _slices(benchmark))
    chosen = []
    for index, scene in enumerate(scenes):
        rng = image_rng(seed, split, index, benchmark)
        if benchmark in _NEGATIVES:
            candidates = held_out_presence(scene, _NEGATIVES[benchmark], popular)
        else:
            candidates = [q for ability in _ABILITIES[benchmark] for q in ASK[ability](scene, rng)]
        by_room: tuple[dict[str, list[Question]], ...] = ({}, {})
        for candidate in candidates:
            later = candidate.level > HARDEST_UNASKED[candidate.ability]
            if not later or candidate.ability in levels:
                by_room[later].setdefault(candidate.slice, []).append(candidate)
        for groups in by_room:
            room = _PER_IMAGE.get(benchmark, 1)
            for name in quota.ordered(groups):
                while room and quota.is_open(name) and (question := balancer.pick(groups[name], rng)) is not None:
                    quota.count(name)
                    room -= 1
                    chosen.append(HeldOut(index, question))
                    groups[name] = [other for other in groups[name] if other.text != question.text]
    return chosen


def _slices(benchmark: Benchmark) -> list[tuple[Ability, int]]:
    """Returns the ability and level of everything that a benchmark can ask."""
    if benchmark == "pope_adversarial":
        # An absent pair whose color and shape are both there takes two objects.
        return [("presence", level) for level in LEVELS["presence"] if level > 1]
    return [(ability, level) for ability in _ABILITIES.get(benchmark, ("presence",)) for level in LEVELS[ability]]
