"""Chooses questions so that no answer is more likely than another, given the words of the question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random

from cobra_kit_scenes.questions import Ability, Question

UNEVEN: frozenset[Ability] = frozenset({"count", "presence"})
"""Abilities of which some answers are rarer in the images: the frequent ones would always be ahead."""


class Balancer:
    """Refuses a question whose answer has run ahead of the others.

    It counts answers per exact text and per slice and template. Where an answer is rare in the images, its
    whole question becomes as rare.

    Args:
        slack: The number by which an answer's count may exceed that of the rarest answer to the same words, for
            abilities whose answers are equally frequent in the images anyway. A tenth of the rarest count, or half the
            number of answers, are also allowed there: the rarest of 48 words should not silence the others. For
            `UNEVEN` abilities it is always 1.
    """

    def __init__(self, slack: int = 1) -> None:
        self._slack = slack
        self._counts: defaultdict[_Key, Counter[str]] = defaultdict(Counter)
        self._rarest: defaultdict[_Key, int] = defaultdict(int)

    def pick(self, candidates: Sequence[Question], rng: Random) -> Question | None:
        """Returns the candidate whose answer is furthest behind, and counts it; None if all have run ahead.

        Candidates without choices (free boxes) are never refused. `rng` breaks ties.
        """
        order = list(candidates)
        rng.shuffle(order)
        excess, best = min(
            ((self._excess(question), question) for question in order),
            key=lambda item: item[0],
            default=(0, None),
        )
        if best is None or excess >= 0:
            return None
        for key in _keys(best):
            counts = self._counts[key]
            counts[best.answer] += 1
            self._rarest[key] = min(map(counts.__getitem__, best.choices), default=0)
        return best

    def _excess(self, question: Question) -> int:
        """Returns how far the answer is above what is allowed, in the worse of its two counts."""
        if not question.choices:
            return -1
        allowed = max(self._slack, len(question.choices) // 2)
        return max(
            self._counts[key][question.answer]
            - self._rarest[key]
            - (1 if question.ability in UNEVEN else max(allowed, self._rarest[key] // 10))
            for key in _keys(question)
        )


_Key = tuple[str, str]


def _keys(question: Question) -> tuple[_Key, _Key]:
    return ("text", question.text), (question.slice, question.template)
