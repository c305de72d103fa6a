"""Scores by cluster, which is what resampling images needs of them, and the statistic that it is about."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cobra_kit.errors import ArgumentError, CobraError, first_line
from cobra_kit.statistics.checks import numbers
from cobra_kit.statistics.scores import codes

_CELLS_PER_CHUNK = 2_000_000  # bounds the memory of one block of resamples to about 50 MB


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

    def pulls(self) -> NDArray[np.float64]:
        """Returns how far each cluster moves each run's statistic from its mean, linearised, `[runs clusters]`.

        A run's pulls sum to 0; their squares, summed, are the variance that the clusters give the statistic.
        """
        totals = self.counts.sum(axis=0)
        means = self.sums.sum(axis=1) / totals
        own: NDArray[np.float64] = ((self.sums - self.counts * means[:, None, :]) / totals).mean(axis=-1)
        return own

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


def _mean_of_groups(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean of the groups' means: a small resample may miss a group, and then it is over those it has."""
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
