"""Learning speed as data: the steps at which validation reaches a level that the reference arm alone sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MEAN = "mean"
"""The row of the mean over benchmarks."""


@dataclass(frozen=True, slots=True)
class StepsToLevel:
    """The steps that an arm takes to a level.

    Args:
        value: Geometric mean over runs; None where one of them is early or never there, which gives a bound alone.
        low: Lower end of its interval, None without one.
        high: Upper end of its interval, None without one.
        runs: Runs that have a curve.
        early: How many of them are there at their first validation.
        never: How many are not there at their last.
    """

    value: float | None
    low: float | None
    high: float | None
    runs: int
    early: int = 0
    never: int = 0


@dataclass(frozen=True, slots=True)
class StepRatio:
    """An arm's steps as a multiple of the reference's, paired by seed; above 1 it is slower.

    Args:
        value: Geometric mean over seeds; None where a run of either arm gives a bound alone.
        low: Lower end of its interval, None without one or of too few seeds.
        high: Upper end of its interval, None as for `low`.
        seeds: Seeds of which both runs have a curve.
        bounded: How many of those seeds have a run of either arm that is early or never there.
        level: The level of the interval, such as 0.95.
    """

    value: float | None
    low: float | None
    high: float | None
    seeds: int
    bounded: int = 0
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class LearningRow:
    """One benchmark, or the mean of all.

    Args:
        benchmark: Name of the benchmark, or `mean`.
        level: The level in points: halfway between `floor` and `last`.
        floor: Points reached without looking at the image; 0 where that is not known.
        last: The reference's points at its last validation, mean over seeds.
        steps: Arm to its steps.
        ratios: Arm to its ratio; the reference arm is left out.
    """

    benchmark: str
    level: float
    floor: float
    last: float
    steps: Mapping[str, StepsToLevel]
    ratios: Mapping[str, StepRatio]


@dataclass(frozen=True, slots=True)
class LearningTable:
    """Steps to a level, benchmark by benchmark.

    Args:
        stage: The stage whose steps are counted: the last one that the reference was validated in.
        rows: The mean of all benchmarks first, where there are several.
        notes: What is left out and why, sentences without a full stop.
    """

    stage: str
    rows: tuple[LearningRow, ...]
    notes: tuple[str, ...] = ()
