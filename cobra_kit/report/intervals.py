"""The numbers of a table with their intervals, in points: an arm's score, and a score minus the reference's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobra_kit.report.table import Estimate, ScoreDifference
from cobra_kit.statistics import bootstrap_difference, bootstrap_mean, detectable_difference, mean_score, seed_spread

_POINTS = 100.0


@dataclass(frozen=True, slots=True)
class Design:
    """What all rows share: training seeds, the level of all intervals, resamples of the bootstrap."""

    seeds: tuple[int, ...]
    level: float
    resamples: int


class Intervals:
    """The intervals of scores and of differences of scores over one benchmark's questions."""

    def __init__(self, clusters: NDArray[np.intp], groups: NDArray[np.intp] | None, design: Design) -> None:
        self.clusters, self.groups, self.design = clusters, groups, design

    def of_score(self, scores: NDArray[np.float64]) -> Estimate:
        """Returns the mean of scores `[seeds questions]` with its interval."""
        interval = bootstrap_mean(
            scores, self.clusters, self.groups, level=self.design.level, resamples=self.design.resamples
        )
        per_seed = mean_score(scores, self.groups).tolist()
        deviation = seed_spread(per_seed).deviation
        return Estimate(interval.value * _POINTS, points(interval.low), points(interval.high), points(deviation))

    def of_difference(self, scores: NDArray[np.float64], reference: NDArray[np.float64]) -> ScoreDifference:
        """Returns the mean of `scores - reference`, both `[seeds questions]`, with its interval."""
        interval = bootstrap_difference(
            scores, reference, self.clusters, self.groups, level=self.design.level, resamples=self.design.resamples
        )
        detectable = detectable_difference(scores - reference, self.clusters, self.groups, level=self.design.level)
        return ScoreDifference(
            value=interval.value * _POINTS,
            low=points(interval.low),
            high=points(interval.high),
            p_value=interval.p_value,
            p_holm=None,
            detectable=points(detectable),
        )


def points(value: float | None) -> float | None:
    """Returns a share as points, 0 to 100."""
    return None if value is None else value * _POINTS
