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
    """The context at which a model with a state of constant size becomes faster than one whose state grows.

    Args:
        constant: The model with the constant state.
        growing: The model whose state grows.
        verdict: `crosses`: at `context`; `always`: it is faster at the smallest context measured already; `never`: it
            is slower at the largest one still.
        context: Where the straight lines between measured points cross for the last time; None unless they cross.
        smallest: Smallest context that both were measured at.
        largest: Largest context that both were measured at.
    """

    constant: str
    growing: str
    verdict: Verdict
    context: float | None
    smallest: int
    largest: int

    @property
    def sentence(self) -> str:
        """Returns the verdict as a sentence."""
        less = f"less time per token than {self.growing}"
        if self.verdict == "crosses":
            return f"{self.constant} needs {less} from {self.context:,.0f} tokens of context on"
        if self.verdict == "always":
            return (
                f"{self.constant} needs {less} already at the smallest context measured, {self.smallest:,} tokens "
                f"(up to {self.largest:,})"
            )
        return f"not reached: {self.constant} does not need {less} up to {self.largest:,} tokens of context"


def crossover(constant: str, curve: Curve, growing: str, growing_curve: Curve) -> Crossover | None:
    """Returns where the time per token of one model falls below the other's for good.

    Args:
        constant: Name of the model whose state is of constant size.
        curve: That model's time per token at each context.
        growing: Name of the other.
        growing_curve: The other's time per token; contexts that only one of them has are left out.

    Returns:
        None where they share fewer than two contexts: a point is no curve.
    """
    times, growing_times = dict(curve), dict(growing_curve)
    shared = sorted(set(times) & set(growing_times))
    if len(shared) < 2:
        return None
    gaps = [(context, times[context] - growing_times[context]) for context in shared]
    if gaps[-1][1] >= 0:
        return Crossover(constant, growing, "never", None, shared[0], shared[-1])
    crossings = [_zero(*left, *right) for left, right in pairwise(gaps) if left[1] >= 0 > right[1]]
    if not crossings:
        return Crossover(constant, growing, "always", None, shared[0], shared[-1])
    return Crossover(constant, growing, "crosses", crossings[-1], shared[0], shared[-1])


def _zero(x1: float, y1: float, x2: float, y2: float) -> float:
    return x1 + (x2 - x1) * y1 / (y1 - y2)
