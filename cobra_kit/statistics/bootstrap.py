"""Percentile bootstrap of a mean or of a paired difference, with pictures as the unit of resampling.

The statistic is the mean over questions or, where a benchmark is reported as the mean of its groups (POPE's
three splits), the mean of the groups' means. Several seeds widen the interval; `cobra_kit.statistics.seeds`
says how and why.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cobra_kit.arguments import finite_number, whole_number
from cobra_kit.errors import ArgumentError, CobraError, first_line
from cobra_kit.statistics.checks import numbers
from cobra_kit.statistics.scores import codes
from cobra_kit.statistics.seeds import add_seed_noise

_CELLS_PER_CHUNK = 2_000_000  # bounds the memory of one block of resamples to about 50 MB


MOST_RESAMPLES = 10_000_000
"""More would change no digit that is printed, and would fill the memory."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its uncertainty.

    `low` and `high` are None where no interval can be had: with one picture there is nothing to resample.

    Args:
        value: The estimate.
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


@dataclass(frozen=True, slots=True)
class Clustered:
    """Sums and counts per cluster and group: all that resampling needs.

    Args:
        sums: `[runs clusters groups]`, sum of the values.
        counts: `[clusters groups]`, number of questions.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, values: ArrayLike, clusters: ArrayLike | None, groups: ArrayLike | None) -> Clustered:
        """Returns the sums of `values`, `[questions]` or `[runs questions]`.

        Raises:
            CobraError: If there are no questions, lengths differ, or a value is not finite.
        """
        matrix = np.atleast_2d(numbers(values, "scores"))
        questions = matrix.shape[1]
        if matrix.size == 0:
            raise CobraError("no questions: a mean over nothing is not defined")
        if not np.isfinite(matrix).all():
            raise CobraError("a score is not a finite number")
        cluster_of = _labels(clusters, questions, "clusters", distinct=True)
        group_of = _labels(groups, questions, "groups", distinct=False)
        shape = (int(cluster_of.max()) + 1, int(group_of.max()) + 1)
        cell = cluster_of * shape[1] + group_of
        cells = shape[0] * shape[1]
        counts = np.bincount(cell, minlength=cells).reshape(shape).astype(np.float64)
        sums = np.stack([np.bincount(cell, row, minlength=cells).reshape(shape) for row in matrix])
        return cls(sums.astype(np.float64), counts)

    @property
    def clusters(self) -> int:
        """The number of clusters."""
        return int(self.counts.shape[0])

    def means(self) -> NDArray[np.float64]:
        """Returns the statistic of each run, `[runs]`."""
        return _mean_of_groups(self.sums.sum(axis=1), self.counts.sum(axis=0))

    def resampled_means(self, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns the statistic of each run in each resample of clusters, `[resamples runs]`."""
        blocks = [self._block(size, rng) for size in _chunks(resamples, self.clusters)]
        return np.concatenate(blocks)

    def _block(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        picks = rng.integers(0, self.clusters, size=(size, self.clusters), dtype=np.int32)
        # How often each cluster was drawn; one matrix product then serves all runs and groups.
        offset = np.arange(size, dtype=np.int64)[:, None] * self.clusters
        drawn = np.bincount((picks + offset).ravel(), minlength=size * self.clusters)
        weights = drawn.reshape(size, self.clusters).astype(np.float64)
        runs, _, groups = self.sums.shape
        sums = weights @ self.sums.transpose(1, 0, 2).reshape(self.clusters, runs * groups)
        return _mean_of_groups(sums.reshape(size, runs, groups), (weights @ self.counts)[:, None, :])


def mean_score(scores: ArrayLike, groups: ArrayLike | None = None) -> NDArray[np.float64]:
    """Returns the statistic that the bootstrap is about, `[runs]`, of `[questions]` or `[runs questions]`.

    It is the mean over questions or, with groups, the mean of the groups' means.

    Raises:
        CobraError: If there are no questions or the arguments do not fit each other.
    """
    return Clustered.of(scores, None, groups).means()


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
        clusters: `[questions]`, the picture of each question; each question its own if left out.
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

    Degenerate input has defined results: one picture gives no interval; if every question differs by the same
    amount, the interval has no width; with no difference at all it is `[0, 0]`, which does not exclude 0.

    Args:
        scores: `[questions]` or `[seeds questions]`.
        reference: Same shape; row i of both is the same seed.
        clusters: See `bootstrap_mean`.
        groups: See `bootstrap_mean`.
        resamples: See `bootstrap_mean`.
        level: See `bootstrap_mean`.
        seed: See `bootstrap_mean`.

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
    rng = np.random.default_rng(seed)
    draws = add_seed_noise(data.resampled_means(resamples, rng), data.means(), rng)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    p_value = _p_value(draws) if difference else None
    return Interval(value, _tidy(low), _tidy(high), level, p_value)


def _p_value(draws: NDArray[np.float64]) -> float:
    """Two-sided; one is added so that p is never 0 (Davison and Hinkley 1997, section 4.2)."""
    noise = 1e-12
    tail = min(int((draws <= noise).sum()), int((draws >= -noise).sum()))
    return min(1.0, 2 * (tail + 1) / (len(draws) + 1))


def _tidy(number: float) -> float:
    """Sums of the same scores in another order differ in the last bit: 0 must stay 0."""
    return 0.0 if abs(number) < 1e-12 else float(number)


def _mean_of_groups(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """A small resample may miss a group; the mean is then over the groups it has."""
    present = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=np.broadcast_to(present, sums.shape))
    result: NDArray[np.float64] = means.sum(axis=-1) / present.sum(axis=-1)
    return result


def _labels(labels: ArrayLike | None, questions: int, what: str, *, distinct: bool) -> NDArray[np.intp]:
    if labels is None:
        return np.arange(questions, dtype=np.intp) if distinct else np.zeros(questions, dtype=np.intp)
    try:
        array = np.asarray(labels)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ArgumentError(f"{what} must be a list of labels: {first_line(error)}") from error
    if array.shape != (questions,):
        raise CobraError(f"{what} needs one label per question, {questions}, but has shape {array.shape}")
    if array.dtype == object and any(not isinstance(label, Hashable) for label in array.tolist()):
        raise ArgumentError(f"{what} must be texts or numbers")
    return codes(array.tolist()) if array.dtype == object else np.asarray(np.unique(array, return_inverse=True)[1])


def _chunks(resamples: int, clusters: int) -> Iterator[int]:
    size = max(1, _CELLS_PER_CHUNK // clusters)
    while resamples > 0:
        yield min(size, resamples)
        resamples -= size
