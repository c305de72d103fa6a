"""The numbers of a table with their intervals, in points: an arm's score, and a score minus the reference's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobra_kit.report.table import MIN_SEEDS, Estimate, ScoreDifference
from cobra_kit.statistics import bootstrap_difference, bootstrap_mean, detectable_difference, mean_score, seed_spread

_POINTS = 100.0


@dataclass(frozen=True, slots=True)
class Design:
    """The design that all rows share: training seeds, the level of all intervals, resamples of the bootstrap."""

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
        """Returns the mean of `scores - reference`, both `[seeds questions]`, with its interval.

        Of too few seeds it has none: an interval over images alone is taken for a verdict, whatever stands below it.
        """
        if len(self.design.seeds) < MIN_SEEDS:
            return self._described(scores - reference)
        return self._judged(scores, reference)

    def of_control(self, scores: NDArray[np.float64], control: NDArray[np.float64]) -> ScoreDifference:
        """Returns the same of one arm with right and wrong images.

        It asks whether these very models look at their images, so an interval over images says something of one seed.
        """
        return self._judged(scores, control)

    def _described(self, differences: NDArray[np.float64]) -> ScoreDifference:
        value = float(mean_score(differences, self.groups).mean())
        seeds, level = len(self.design.seeds), self.design.level
        return ScoreDifference(value * _POINTS, None, None, None, None, None, seeds, level)

    def _judged(self, scores: NDArray[np.float64], reference: NDArray[np.float64]) -> ScoreDifference:
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
            seeds=len(self.design.seeds),
            level=self.design.level,
        )


def points(value: float | None) -> float | None:
    """Returns a share as points, 0 to 100."""
    return None if value is None else value * _POINTS
