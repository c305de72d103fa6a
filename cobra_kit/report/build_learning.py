"""From arms' validations to the table of steps to a level.

The level of a benchmark is halfway between its floor and what the reference arm has reached at its last validation,
mean over seeds: no other arm has a say in it, so no arm can be favoured by its choice. A reference that is not surely
above the floor sets no level, since halfway to noise is noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from cobra_kit.report import grid
from cobra_kit.report.intervals import Design
from cobra_kit.report.learning import MEAN, LearningRow, LearningTable, StepRatio, StepsToLevel
from cobra_kit.report.results import ArmResult, BenchmarkInfo, ValidationCurve
from cobra_kit.report.table import MIN_SEEDS
from cobra_kit.statistics import Interval, LevelCrossing, geometric_mean, reach_level, seed_interval, step_ratio

_LEAST_VALIDATIONS = 2

# arm -> seed -> curve of one benchmark
_Curves = Mapping[str, Mapping[int, ValidationCurve]]


def learning_table(
    arms: Sequence[ArmResult], benchmarks: Sequence[BenchmarkInfo], design: Design
) -> LearningTable | None:
    """Returns the steps to each benchmark's level; None where no run of the table has validations.

    Args:
        arms: The arms, the reference first.
        benchmarks: The table's benchmarks, in order.
        design: The table's seeds and level.
    """
    stage = _stage(arms)
    if stage is None:
        return None
    rows, notes = [], _without_curves(arms, stage, design)
    at_floor, short = [], []
    for name, floor in _floors(arms, benchmarks, stage).items():
        curves = _curves(arms, stage, name, design)
        reference = curves[arms[0].name]
        if not reference:
            short.append(name)
        elif (row := _row(name, floor, curves, arms[0].name, design)) is None:
            at_floor.append(name)
        else:
            rows.append(row)
    if at_floor:
        reason = f"{arms[0].name} is not surely above the floor in its last validation"
        notes.append(f"no level is set for {', '.join(at_floor)}: {reason}")
    if short and arms[0].validations.get(stage):
        reason = f"{arms[0].name} was validated fewer than {_LEAST_VALIDATIONS} times (evaluate.validation.every_steps)"
        notes.append(f"no curve of {', '.join(short)}: {reason}")
    return LearningTable(stage, tuple(rows), tuple(notes))


def _stage(arms: Sequence[ArmResult]) -> str | None:
    """Returns the stage whose steps are counted: the reference's last, or that of the first arm that has one."""
    return next((list(arm.validations)[-1] for arm in arms if arm.validations), None)


def _floors(arms: Sequence[ArmResult], benchmarks: Sequence[BenchmarkInfo], stage: str) -> dict[str, float]:
    """Returns the floor of each benchmark that the arms were validated on, and of their mean."""
    asked = {name for arm in arms for curves in arm.validations.get(stage, {}).values() for name in curves}
    floors = {benchmark.name: benchmark.floor or 0.0 for benchmark in benchmarks if benchmark.name in asked}
    # The mean is over all that validation asks, so its floor is known only where all of theirs are.
    if MEAN in asked and MEAN not in floors and len(floors) > 1 and asked - {MEAN} == set(floors):
        return {MEAN: fmean(floors.values()), **floors}
    return floors


def _curves(arms: Sequence[ArmResult], stage: str, benchmark: str, design: Design) -> _Curves:
    by_arm = {}
    for arm in arms:
        runs = arm.validations.get(stage, {})
        listed = {seed: runs.get(seed, {}).get(benchmark, ()) for seed in design.seeds}
        by_arm[arm.name] = {seed: curve for seed, curve in listed.items() if len(curve) >= _LEAST_VALIDATIONS}
    return by_arm


def _without_curves(arms: Sequence[ArmResult], stage: str, design: Design) -> list[str]:
    notes = []
    for arm in arms:
        lacking = [seed for seed in design.seeds if not arm.validations.get(stage, {}).get(seed)]
        if lacking:
            named = grid.seeds(lacking)
            notes.append(f"{arm.name} has no whole log of validations in {stage} of {named}, which its steps leave out")
    return notes


def _row(name: str, floor: float, curves: _Curves, reference: str, design: Design) -> LearningRow | None:
    last = seed_interval([curve[-1][1] for curve in curves[reference].values()], level=design.level)
    surely = last.low if len(curves[reference]) >= MIN_SEEDS and last.low is not None else last.value
    if surely <= floor:
        return None
    level = (floor + last.value) / 2
    crossings = {
        arm: {seed: reach_level(curve, level) for seed, curve in by_seed.items()} for arm, by_seed in curves.items()
    }
    return LearningRow(
        benchmark=name,
        level=100 * level,
        floor=100 * floor,
        last=100 * last.value,
        steps={arm: _steps(by_seed, design) for arm, by_seed in crossings.items() if by_seed},
        ratios={
            arm: _ratio(by_seed, crossings[reference], design)
            for arm, by_seed in crossings.items()
            if arm != reference and by_seed.keys() & crossings[reference].keys()
        },
    )


def _steps(crossings: Mapping[int, LevelCrossing], design: Design) -> StepsToLevel:
    kinds = [crossing.kind for crossing in crossings.values()]
    early, never = kinds.count("early"), kinds.count("never")
    if early or never:
        return StepsToLevel(None, None, None, len(kinds), early, never)
    mean = geometric_mean([crossing.step for crossing in crossings.values()], level=design.level)
    return StepsToLevel(mean.value, *_ends(mean, len(kinds)), len(kinds))


def _ratio(crossings: Mapping[int, LevelCrossing], reference: Mapping[int, LevelCrossing], design: Design) -> StepRatio:
    pairs = [(crossings[seed], reference[seed]) for seed in design.seeds if seed in crossings and seed in reference]
    bounded = sum(first.kind != "within" or second.kind != "within" for first, second in pairs)
    if bounded:
        return StepRatio(None, None, None, len(pairs), bounded, design.level)
    ratio = step_ratio([first.step for first, _ in pairs], [second.step for _, second in pairs], level=design.level)
    return StepRatio(ratio.value, *_ends(ratio, len(pairs)), len(pairs), 0, design.level)


def _ends(interval: Interval, seeds: int) -> tuple[float | None, float | None]:
    """Returns the ends of an interval; of too few seeds none, since it would be taken for a verdict."""
    return (interval.low, interval.high) if seeds >= MIN_SEEDS else (None, None)
