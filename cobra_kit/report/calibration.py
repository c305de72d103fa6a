"""The reference arm between floor and ceiling: whether a study's benchmarks can tell arms apart.

Levels of questions and steps of training are chosen by the reference arm: it must be neither at the floor, where
nothing is learnt yet, nor at the ceiling, where everything is. Other arms are looked at for one thing only, how far
their paired differences scatter, and their differences stand nowhere here: who chose by them would choose the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cobra_kit.data.sources import example_data
from cobra_kit.errors import CobraError
from cobra_kit.report.intervals import points
from cobra_kit.report.results import ArmResult, BenchmarkInfo
from cobra_kit.report.table import MIN_SEEDS
from cobra_kit.statistics import (
    Aligned,
    QuestionScore,
    align,
    detectable_between_seeds,
    detectable_difference,
    mean_score,
    seed_spread,
)

LOWEST, HIGHEST = 20.0, 90.0
"""Per cent of the way from floor to ceiling between which a benchmark can tell arms apart."""

Position = Literal["inside", "below", "above", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceScore:
    """The reference arm on a benchmark, or on one group of its questions. All scores are in points, 0 to 100.

    Args:
        name: The benchmark or the group, such as `spatial/1`.
        questions: Number of questions.
        floor: Points reached without looking at the image; None where nobody knows.
        ceiling: The most points that can be reached; that of its benchmark for a group.
        mean: Mean over seeds.
        deviation: Standard deviation over seeds, None with one seed.
        detectable: The smallest true difference that the study would see in 4 of 5 repetitions; None where unknown.
        groups: Its groups; none where there is only one.
    """

    name: str
    questions: int
    floor: float | None
    ceiling: float | None
    mean: float
    deviation: float | None
    detectable: float | None
    groups: tuple[ReferenceScore, ...] = ()

    @property
    def way(self) -> float | None:
        """How far it is from floor to ceiling, per cent; None where one of them is not known or they are the same."""
        if self.floor is None or self.ceiling is None or self.ceiling <= self.floor:
            return None
        return 100 * (self.mean - self.floor) / (self.ceiling - self.floor)

    @property
    def position(self) -> Position:
        """Whether arms can be told apart there."""
        way = self.way
        if way is None:
            return "unknown"
        return "below" if way < LOWEST else "above" if way > HIGHEST else "inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A study's reference arm on every benchmark.

    Args:
        reference: Name of the arm.
        seeds: Its finished training seeds.
        benchmarks: The arm's scores, in the study's order.
        not_scored: Benchmarks that some finished run lacks.
        paired: Whether `detectable` is of the study's own paired differences; else it takes another arm to scatter as
            the reference does, with nothing in common.
    """

    reference: str
    seeds: tuple[int, ...]
    benchmarks: tuple[ReferenceScore, ...]
    not_scored: tuple[str, ...]
    paired: bool

    @property
    def outside(self) -> tuple[ReferenceScore, ...]:
        """The benchmarks that cannot tell arms apart, or of which it is not known."""
        return tuple(score for score in self.benchmarks if score.position != "inside")

    @property
    def enough_seeds(self) -> bool:
        """Whether the spread between training runs is known."""
        return len(self.seeds) >= MIN_SEEDS

    @property
    def holds(self) -> bool:
        """Whether all benchmarks lie inside, by enough seeds."""
        return self.enough_seeds and not self.outside and not self.not_scored


def calibrate(arms: Sequence[ArmResult], benchmarks: Sequence[BenchmarkInfo], *, reference: str) -> Calibration:
    """Returns the reference arm's standing on every benchmark.

    Args:
        arms: The arms' scores; all but the reference's serve the smallest detectable difference alone.
        benchmarks: The benchmarks, in order.
        reference: Name of the reference arm.

    Raises:
        CobraError: The reference has no finished run, or there are no benchmarks.
    """
    arm = next(arm for arm in arms if arm.name == reference)
    seeds = tuple(sorted(arm.finished_seeds))
    if not seeds:
        raise CobraError(f"the reference arm {reference!r} has no finished run", hint="Run the study to its end first.")
    if not benchmarks:
        raise CobraError(
            "not evaluated: there were no benchmarks to ask, so there is nothing to calibrate",
            hint=f"Name data with benchmarks, such as `data: {example_data()}`, and none in `evaluate.benchmarks`.",
        )
    partners = _partners(arms, reference, seeds)
    scores = {
        benchmark.name: _score(arm, partners, benchmark, seeds)
        for benchmark in benchmarks
        if _complete(arm, benchmark, seeds)
    }
    return Calibration(
        reference=reference,
        seeds=seeds,
        benchmarks=tuple(scores.values()),
        not_scored=tuple(benchmark.name for benchmark in benchmarks if benchmark.name not in scores),
        paired=bool(partners),
    )


def _partners(
    arms: Sequence[ArmResult], reference: str, seeds: tuple[int, ...]
) -> list[tuple[ArmResult, tuple[int, ...]]]:
    """Returns the arms that share enough finished seeds with the reference, with these seeds."""
    shared = [
        (arm, tuple(seed for seed in seeds if seed in arm.finished_seeds)) for arm in arms if arm.name != reference
    ]
    return [(arm, common) for arm, common in shared if len(common) >= MIN_SEEDS]


def _score(
    arm: ArmResult,
    partners: Sequence[tuple[ArmResult, tuple[int, ...]]],
    benchmark: BenchmarkInfo,
    seeds: tuple[int, ...],
) -> ReferenceScore:
    paired = [
        _Differences.of(_Runs(benchmark.name, arm, common), _Runs(benchmark.name, other, common))
        for other, common in partners
        if _complete(other, benchmark, common)
    ]
    runs = _BenchmarkRuns(benchmark, _Runs(benchmark.name, arm, seeds).aligned(), paired if partners else None)
    names = sorted(runs.aligned.group_names)
    groups = tuple(runs.of_group(name) for name in names) if len(names) > 1 else ()
    return replace(runs.of_all(), groups=groups)


def _complete(arm: ArmResult, benchmark: BenchmarkInfo, seeds: tuple[int, ...]) -> bool:
    return all(arm.scores.get(benchmark.name, {}).get(seed) for seed in seeds)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of one arm on a benchmark."""

    benchmark: str
    arm: ArmResult
    seeds: tuple[int, ...]

    def lists(self) -> list[Sequence[QuestionScore]]:
        by_seed = self.arm.scores[self.benchmark]
        return [by_seed[seed] for seed in self.seeds]

    def names(self) -> list[str]:
        return [f"{self.benchmark} of {self.arm.name}, seed {seed}" for seed in self.seeds]

    def aligned(self) -> Aligned:
        return align(self.lists(), self.names())


@dataclass(frozen=True, slots=True)
class _Differences:
    """Paired differences of two arms, `[seeds questions]`: their spread is all that is asked of them."""

    values: NDArray[np.float64]
    aligned: Aligned

    @classmethod
    def of(cls, reference: _Runs, other: _Runs) -> _Differences:
        aligned = align([*reference.lists(), *other.lists()], [*reference.names(), *other.names()])
        first, second = np.split(aligned.scores, 2)
        return cls(second - first, aligned)

    def detectable(self, group: str | None, *, mean_of_groups: bool) -> float | None:
        inside = _questions_of(self.aligned, group)
        groups = self.aligned.groups[inside] if mean_of_groups else None
        return detectable_difference(self.values[:, inside], self.aligned.clusters[inside], groups)


@dataclass(frozen=True, slots=True)
class _BenchmarkRuns:
    """The reference's runs on a benchmark, with the paired differences; None where no arm stands beside it."""

    benchmark: BenchmarkInfo
    aligned: Aligned
    paired: Sequence[_Differences] | None

    def of_all(self) -> ReferenceScore:
        return self._score(self.benchmark.name, None, self.benchmark.floor)

    def of_group(self, name: str) -> ReferenceScore:
        return self._score(name, name, self.benchmark.group_floors.get(name))

    def _score(self, name: str, group: str | None, floor: float | None) -> ReferenceScore:
        inside = _questions_of(self.aligned, group)
        mean_of_groups = self.benchmark.mean_of_groups and group is None
        per_seed = mean_score(self.aligned.scores[:, inside], self.aligned.groups[inside] if mean_of_groups else None)
        spread = seed_spread(per_seed.tolist())
        return ReferenceScore(
            name=name,
            questions=int(inside.sum()),
            floor=points(floor),
            ceiling=points(self.benchmark.ceiling),
            mean=100 * spread.mean,
            deviation=points(spread.deviation),
            detectable=points(self._detectable(per_seed, group, mean_of_groups=mean_of_groups)),
        )

    def _detectable(self, per_seed: NDArray[np.float64], group: str | None, *, mean_of_groups: bool) -> float | None:
        if self.paired is None:
            return detectable_between_seeds(per_seed) if len(per_seed) >= MIN_SEEDS else None
        seen = (differences.detectable(group, mean_of_groups=mean_of_groups) for differences in self.paired)
        return max((difference for difference in seen if difference is not None), default=None)


def _questions_of(aligned: Aligned, group: str | None) -> NDArray[np.bool_]:
    """Returns which questions belong to a group; all of them where none is named."""
    if group is None:
        return np.ones(len(aligned.question_ids), dtype=np.bool_)
    inside: NDArray[np.bool_] = aligned.groups == aligned.group_names.index(group)
    return inside
