"""The mix of levels among the held-out questions of an ability: what a user may ask for, and how it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from cobra_kit_scenes.questions import ABILITIES, HARDEST_UNASKED, LEVELS, MAX_LEVEL, Ability

LevelWeights = Mapping[int, float]
"""Level to its weight; a level that is left out is not asked."""

_SLACK = 4
"""Questions by which a level may be ahead of its share, since images of a level come in no order."""


def parsed_levels(value: Any) -> Any:
    """Returns what a user wrote with a mapping of level to weight per ability; what fits no form is left as it is.

    A number stands for the hardest level, all up to it asked alike: of one ability, or of all, each as far as it goes.

    Raises:
        ValueError: A number is no level.
    """
    if _is_number(value):
        return {ability: _up_to(value, LEVELS[ability][-1]) for ability in ABILITIES}
    if not isinstance(value, Mapping):
        return value
    return {
        ability: _up_to(weights, MAX_LEVEL) if _is_number(weights) else weights for ability, weights in value.items()
    } or None


def parsed_level(value: Any) -> Any:
    """Returns a level; the keys of a recipe, and of JSON, are texts, whatever they look like.

    Raises:
        ValueError: It is none.
    """
    if str(value) not in map(str, range(1, MAX_LEVEL + 1)):
        raise ValueError(f"{value!r} is no level; levels are 1 to {MAX_LEVEL}")
    return int(value)


def check_levels(mixes: Mapping[Ability, LevelWeights]) -> None:
    """Checks that every mix asks something that its ability has.

    Raises:
        ValueError: It does not; says which ability and what it has.
    """
    for ability, weights in mixes.items():
        known = LEVELS[ability]
        if unknown := [level for level in weights if level not in known]:
            levels = ", ".join(map(str, known))
            raise ValueError(f"{ability} has no level {unknown[0]}; its levels: {levels}")
        if any(weight < 0 or not isfinite(weight) for weight in weights.values()):
            raise ValueError(f"{ability}: weights are finite numbers, 0 or more")
        if not any(weights.values()):
            raise ValueError(f"{ability}: at least one level needs a weight above 0")


class LevelQuota:
    """Says which slices are asked next, and refuses a level that has run ahead of its share.

    Images show what they show: a level whose images are rare holds the others back, and there are fewer questions.

    Args:
        mixes: The mixes that somebody asked for; the slices of other abilities are never refused.
        slices: The slices that the benchmark can ask, such as `spatial/1`; a mix is shared out among these.
    """

    def __init__(self, mixes: Mapping[Ability, LevelWeights], slices: Iterable[tuple[Ability, int]]) -> None:
        self._asked: Counter[str] = Counter()
        self._shares: dict[str, float] = {}
        self._together: dict[str, list[str]] = {}
        self._weights: dict[str, float] = {}
        slices = tuple(slices)
        for ability, weights in mixes.items():
            levels = [level for name, level in slices if name == ability]
            total = sum(weights.get(level, 0) for level in levels)
            names = [f"{ability}/{level}" for level in levels]
            usual = [level for level in levels if level <= HARDEST_UNASKED[ability]]
            among_usual = sum(weights.get(level, 0) for level in usual)
            for level, name in zip(levels, names, strict=True):
                self._shares[name] = weights.get(level, 0) / total if total else 0.0
                self._together[name] = names
                if level in usual and weights.get(level, 0):
                    self._weights[name] = weights[level] / among_usual * len(usual)

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Returns the slices with those that are furthest behind first: hard ones are many and would leave no room.

        A mix takes no room from other abilities: weights are 1 in the mean over the levels that are asked without one.
        """
        return sorted(names, key=lambda name: (self._asked[name] / self._weights.get(name, 1.0), name))

    def is_open(self, name: str) -> bool:
        """Says whether a question of the slice may be asked now."""
        share = self._shares.get(name)
        if share is None:
            return True
        total = sum(self._asked[other] for other in self._together[name])
        return share > 0 and self._asked[name] < share * total + _SLACK

    def count(self, name: str) -> None:
        """Counts a question of the slice."""
        self._asked[name] += 1


def _up_to(hardest: int, last: int) -> dict[int, float]:
    if not 1 <= hardest <= MAX_LEVEL:
        raise ValueError(f"the hardest level is a number from 1 to {MAX_LEVEL}")
    return dict.fromkeys(range(1, min(hardest, last) + 1), 1.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
