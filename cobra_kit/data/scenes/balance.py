"""Chooses questions so that no answer is more likely than another, given the words of the question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random

from cobra_kit.data.scenes.questions import Question


class Balancer:
    """Refuses a question whose answer has run ahead of the others.

    It counts answers per exact text and per slice and template. Where an answer is rare in the pictures, its
    whole question becomes as rare.

    Args:
        slack: By how much an answer's count may exceed that of the rarest answer to the same words. A tenth
            of the rarest count, or half the number of answers, are also allowed where they are more: the
            rarest of 48 words should not silence the others.
    """

    def __init__(self, slack: int = 1) -> None:
        self._slack = slack
        self._counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def pick(self, candidates: Sequence[Question], rng: Random) -> Question | None:
        """Returns the candidate whose answer is furthest behind, and counts it; None if all have run ahead.

        Candidates without choices (free boxes) are never refused. `rng` breaks ties.
        """
        order = list(candidates)
        rng.shuffle(order)
        best = min(order, key=self._excess, default=None)
        if best is None or self._excess(best) >= 0:
            return None
        for key in self._keys(best):
            self._counts[key][best.answer] += 1
        return best

    def _excess(self, question: Question) -> int:
        """Returns how far the answer is above what is allowed, in the worse of its two counts."""
        if not question.choices:
            return -1
        excess = []
        for key in self._keys(question):
            counts = self._counts[key]
            rarest = min(counts[choice] for choice in question.choices)
            allowed = max(self._slack, len(question.choices) // 2, rarest // 10)
            excess.append(counts[question.answer] - rarest - allowed)
        return max(excess)

    @staticmethod
    def _keys(question: Question) -> tuple[tuple[str, str], tuple[str, str]]:
        return ("text", question.text), (question.slice, question.template)
