"""The interval of a mean and of a paired difference: percentile bootstrap, images as the unit of resampling.

The statistic is the mean over questions or, where a benchmark is reported as the mean of its groups (POPE's
three splits), the mean of the groups' means. Several seeds widen the interval; `cobra_kit.statistics.seeds`
says how and why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cobra_kit.arguments import finite_number, whole_number
from cobra_kit.errors import CobraError
from cobra_kit.statistics.checks import numbers
from cobra_kit.statistics.clusters import Clustered
from cobra_kit.statistics.seeds import add_seed_noise, images_share

MOST_RESAMPLES = 10_000_000
"""More would change no digit that is printed, and would fill the memory."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its uncertainty.

    `low` and `high` are None where no interval can be had: with one image there is nothing to resample.

    Args:
        value: The estimate itself.
        low: Lower end, or None.
        high: Upper end, or None.
        level: The share of repeated experiments whose interval holds the true value, such as 0.95.
        p_value: For a difference, the two-sided bootstrap p value of "no difference"; else None.
    """

    value: float
    low: float | None
    high: float | None
    level: float = 0.95
    p_value: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and 0 lies outside of it."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def bootstrap_mean(
    scores: ArrayLike,
    clusters: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns the mean of `scores` with its percentile interval.

    Args:
        scores: `[questions]`, or `[seeds questions]` for one row per training seed.
        clusters: `[questions]`, the image of each question; each question its own if left out.
        groups: `[questions]`; with groups, the statistic is the mean of the groups' means.
        resamples: How many resamples; 10,000 leave an error of about 1 % of the interval's width.
        level: Coverage aimed at.
        seed: Makes the result repeatable; equal input and seed give equal output.

    Raises:
        CobraError: If there are no questions or the arguments do not fit each other.
    """
    return _interval(Clustered.of(scores, clusters, groups), resamples, level, seed, difference=False)


def bootstrap_difference(
    scores: ArrayLike,
    reference: ArrayLike,
    clusters: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns the mean of `scores - reference`, paired by question, with its percentile interval.

    Degenerate input has defined results: one image gives no interval; if every question differs by the same
    amount, the interval has no width; with no difference at all it is `[0, 0]`, which does not exclude 0.

    Args:
        scores: `[questions]` or `[seeds questions]`.
        reference: Same shape; row i of both is the same seed.
        clusters: `[questions]`, the image of each, as `bootstrap_mean` takes them.
        groups: `[questions]`, the group of each, as `bootstrap_mean` takes them.
        resamples: How many resamples to draw.
        level: The share of repeated experiments whose interval would hold the true value.
        seed: Seed of the draws, as `bootstrap_mean` takes it.

    Raises:
        CobraError: If the two shapes differ, or as `bootstrap_mean`.
    """
    first, second = numbers(scores, "scores"), numbers(reference, "the reference's scores")
    if first.shape != second.shape:
        raise CobraError(f"paired scores need equal shapes, got {first.shape} and {second.shape}")
    return _interval(Clustered.of(first - second, clusters, groups), resamples, level, seed, difference=True)


def _interval(data: Clustered, resamples: int, level: float, seed: int, *, difference: bool) -> Interval:
    if not 0 < finite_number(level, "level") < 1:
        raise CobraError(f"level must lie between 0 and 1, got {level}")
    resamples = whole_number(resamples, "resamples", at_least=1, at_most=MOST_RESAMPLES)
    seed = whole_number(seed, "seed", at_least=0)
    value = _tidy(data.means().mean())
    if data.clusters == 1:
        return Interval(value, None, None, level)
    # One generator, images before seeds: the order is part of what a seed means in stored tables.
    rng = np.random.default_rng(seed)
    draws = add_seed_noise(data.resampled_means(resamples, rng), data.means(), images_share(data.pulls()), rng)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    p_value = _p_value(draws) if difference else None
    return Interval(value, _tidy(low), _tidy(high), level, p_value)


def _p_value(draws: NDArray[np.float64]) -> float:
    """Returns the two-sided p value; one is added so that p is never 0 (Davison and Hinkley 1997, section 4.2)."""
    noise = 1e-12
    tail = min(int((draws <= noise).sum()), int((draws >= -noise).sum()))
    return min(1.0, 2 * (tail + 1) / (len(draws) + 1))


def _tidy(number: float) -> float:
    """Sums of the same scores in another order differ in the last bit: 0 must stay 0."""
    return 0.0 if abs(number) < 1e-12 else float(number)
