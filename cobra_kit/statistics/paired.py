"""McNemar's exact test for right-or-wrong scores, and Holm's correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cobra_kit.errors import CobraError
from cobra_kit.statistics.checks import numbers


@dataclass(frozen=True, slots=True)
class McNemar:
    """The questions on which two arms disagree, and how surprising their imbalance is.

    Args:
        only_first: Questions that only the first arm answered right.
        only_second: Questions that only the second arm answered right.
        p_value: Two-sided exact p value; 1 where the arms never disagree.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Returns McNemar's exact test (a sign test over the questions on which the arms disagree).

    It takes questions as independent. Where several questions share an image they are not, and the clustered
    bootstrap is the one to report.

    Args:
        first: `[questions]`, each 0 or 1.
        second: `[questions]`, each 0 or 1, same questions.

    Raises:
        CobraError: If lengths differ, there are no questions, or a score is neither 0 nor 1.
    """
    a, b = numbers(first, "scores"), numbers(second, "scores")
    if a.shape != b.shape or a.ndim != 1:
        raise CobraError(f"McNemar's test needs two equally long lists, got shapes {a.shape} and {b.shape}")
    if not a.size:
        raise CobraError("no questions: McNemar's test is not defined")
    odd = np.concatenate([a, b])
    odd = odd[(odd != 0) & (odd != 1)]
    if odd.size:
        raise CobraError(
            f"McNemar's test needs scores of 0 or 1, got {float(odd[0]):g}",
            hint="scores in between, such as VQA accuracy, are compared with bootstrap_difference",
        )
    only_first, only_second = int((a > b).sum()), int((b > a).sum())
    return McNemar(only_first, only_second, _sign_test(only_first, only_second))


def _sign_test(first: int, second: int) -> float:
    """Returns twice the smaller binomial(n, 1/2) tail, in logarithms so that n may be large."""
    n, smaller = first + second, min(first, second)
    if n == 0:
        return 1.0
    steps = np.arange(smaller, dtype=np.float64)
    log_choose = np.concatenate([[0.0], np.cumsum(np.log(n - steps) - np.log(steps + 1))])
    peak = float(log_choose.max())
    log_tail = peak + math.log(float(np.exp(log_choose - peak).sum())) - n * math.log(2)
    return min(1.0, 2 * math.exp(log_tail))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns Holm's adjusted p values, in the order given.

    Rejecting those below 0.05 keeps the chance of any false alarm among all of them at 5 %.

    Raises:
        CobraError: If a p value lies outside of `[0, 1]`.
    """
    p_values = [float(p) for p in numbers(p_values, "p values", most_axes=1)]
    for p in p_values:
        if not 0 <= p <= 1:
            raise CobraError(f"a p value lies between 0 and 1, got {p}")
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
