"""From which context on one model needs less time per token than another, on measured curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Curve = Sequence[tuple[int, float]]
"""(context in tokens, seconds per token), contexts rising."""

Verdict = Literal["crosses", "always", "never"]


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where one model becomes the faster one.

    Args:
        faster: The model whose time per token grows less with the context.
        slower: The other one.
        verdict: `crosses`: at `context`; `always`: it is faster at the smallest context measured already; `never`: it
            is slower at the largest one still.
        context: Where the straight lines between measured points cross for the last time; None unless they cross.
        smallest: Smallest context that both were measured at.
        largest: Largest one.
    """

    faster: str
    slower: str
    verdict: Verdict
    context: float | None
    smallest: int
    largest: int

    @property
    def words(self) -> str:
        """Returns the verdict as a sentence."""
        if self.verdict == "crosses":
            return f"{self.faster} needs less time per token than {self.slower} from {self.context:,.0f} tokens on"
        if self.verdict == "always":
            return (
                f"{self.faster} needs less time per token than {self.slower} already at {self.smallest:,} tokens, the "
                f"smallest context measured (up to {self.largest:,})"
            )
        return f"{self.faster} does not need less time per token than {self.slower} up to {self.largest:,} tokens"


def crossover(one: str, curve: Curve, other: str, other_curve: Curve) -> Crossover | None:
    """Returns where the curve that grows less falls below the other for good.

    Args:
        one: Name of the first.
        curve: Its times.
        other: Name of the second.
        other_curve: Its times; contexts that only one of them has are left out.

    Returns:
        None where they share fewer than two contexts: a point shows no growth.
    """
    times, other_times = dict(curve), dict(other_curve)
    shared = sorted(set(times) & set(other_times))
    if len(shared) < 2:
        return None
    first, last = shared[0], shared[-1]
    if times[last] / times[first] > other_times[last] / other_times[first]:
        one, other, times, other_times = other, one, other_times, times
    gaps = [(context, times[context] - other_times[context]) for context in shared]
    if gaps[-1][1] >= 0:
        return Crossover(one, other, "never", None, first, last)
    crossings = [_zero(*left, *right) for left, right in pairwise(gaps) if left[1] >= 0 > right[1]]
    if not crossings:
        return Crossover(one, other, "always", None, first, last)
    return Crossover(one, other, "crosses", crossings[-1], first, last)


def _zero(x1: float, y1: float, x2: float, y2: float) -> float:
    return x1 + (x2 - x1) * y1 / (y1 - y2)
