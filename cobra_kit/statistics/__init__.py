"""Intervals, paired tests, power and seeds: what is needed to say whether a difference is real.

Everything here works on numbers, not on models: scores in `[0, 1]` with the image each question is about.
Questions about one image share its difficulty, so the image, not the question, is resampled.
"""

from __future__ import annotations

from cobra_kit.statistics.clusters import mean_score
from cobra_kit.statistics.intervals import Interval, bootstrap_difference, bootstrap_mean
from cobra_kit.statistics.learning import (
    LevelCrossing,
    geometric_mean,
    reach_level,
    rising,
    seed_interval,
    step_ratio,
)
from cobra_kit.statistics.paired import McNemar, holm, mcnemar
from cobra_kit.statistics.power import (
    detectable_between_seeds,
    detectable_difference,
    planned_detectable_difference,
    standard_error,
)
from cobra_kit.statistics.scores import Aligned, QuestionScore, align
from cobra_kit.statistics.seeds import SeedSpread, seed_spread

__all__ = [
    "Aligned",
    "Interval",
    "LevelCrossing",
    "McNemar",
    "QuestionScore",
    "SeedSpread",
    "align",
    "bootstrap_difference",
    "bootstrap_mean",
    "detectable_between_seeds",
    "detectable_difference",
    "geometric_mean",
    "holm",
    "mcnemar",
    "mean_score",
    "planned_detectable_difference",
    "reach_level",
    "rising",
    "seed_interval",
    "seed_spread",
    "standard_error",
    "step_ratio",
]
