"""From arms' scores to the ablation table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cobra_kit.errors import CobraError
from cobra_kit.paper import column_label, paper_column, paper_table
from cobra_kit.report import grid
from cobra_kit.report.build_learning import learning_table
from cobra_kit.report.intervals import Design, Intervals, points
from cobra_kit.report.machines import RunMachine
from cobra_kit.report.results import ArmResult, BenchmarkInfo, ChoiceMasses, PaperReference
from cobra_kit.report.table import AblationTable, ArmCost, PaperNote, ScoreDifference, TablePart, TableRow
from cobra_kit.statistics import (
    Aligned,
    QuestionScore,
    align,
    holm,
)

_Runs = Mapping[int, Sequence[QuestionScore]]


def build_table(
    arms: Sequence[ArmResult],
    benchmarks: Sequence[BenchmarkInfo],
    *,
    reference: str,
    factor: str,
    profile: str,
    split: str = "test",
    paper: PaperReference | None = None,
    left_out: Mapping[str, str] | None = None,
    machines: Sequence[RunMachine] = (),
    level: float = 0.95,
    resamples: int = 10_000,
) -> AblationTable:
    """Returns the table of `arms` by `benchmarks`.

    Only seeds that every arm has finished are used, and left-out ones are named in the table's notes; an arm
    that lacks a benchmark has no entry in that row.

    Args:
        arms: The arms' scores and costs.
        benchmarks: The rows, in order.
        reference: Name of the arm to compare the others with.
        factor: The recipe key that the arms differ in.
        profile: The recipe's profile.
        split: The split that was scored.
        paper: Rows of a published table to print below.
        left_out: Arms that are not run because they would say nothing, with the reason.
        machines: Where the runs were made, as far as that is recorded.
        level: The share of repeated experiments whose intervals hold the true value.
        resamples: How often the bootstrap draws the images anew.

    Raises:
        CobraError: If there are no arms, names clash, the reference is unknown, arms share no seed, or two
            runs of a benchmark answered different questions.
    """
    ordered = _reference_first(arms, reference)
    # A difference is paired by question within a seed, so a seed that one arm lacks says nothing about the others.
    seeds, notes = _common_seeds(ordered)
    design = Design(seeds, level, resamples)
    rows = [_row(ordered, benchmark, design) for benchmark in benchmarks]
    kept = tuple(row for row in rows if row is not None)
    if not benchmarks:
        notes.append("not evaluated: there were no benchmarks to ask, so this says what training took and nothing else")
    notes += [
        f"{benchmark.left_out:,} questions of {benchmark.name} are left out: their pictures cannot be read"
        for benchmark in benchmarks
        if benchmark.left_out
    ]
    notes += [f"{arm} is not run: {reason.rstrip('.')}" for arm, reason in (left_out or {}).items()]
    notes += [
        f"{row.benchmark} of {arm.name} is not in the table: {grid.seeds(lacking)} not scored"
        for row in kept
        for arm in ordered
        if (lacking := [seed for seed in seeds if not arm.scores.get(row.benchmark, {}).get(seed)])
    ]
    missing = [benchmark.name for benchmark, row in zip(benchmarks, rows, strict=True) if row is None]
    if missing:
        notes.append(f"not scored yet: {', '.join(missing)}")
    return AblationTable(
        factor=factor,
        profile=profile,
        split=split,
        reference=reference,
        arms=tuple(arm.name for arm in ordered),
        seeds=seeds,
        level=level,
        rows=_with_holm(kept),
        costs={
            arm.name: ArmCost(
                arm.image_tokens,
                arm.parameters_trained,
                arm.training_seconds,
                arm.tokens_per_second,
                arm.shared_seconds,
            )
            for arm in ordered
        },
        paper=_paper_note(paper, reference, benchmarks) if paper and benchmarks else None,
        notes=tuple(notes),
        learning=learning_table(ordered, benchmarks, design),
        machines=tuple(machines),
    )


def _reference_first(arms: Sequence[ArmResult], reference: str) -> list[ArmResult]:
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names):
        raise CobraError(f"two arms have the same name: {', '.join(names)}")
    if reference not in names:
        raise CobraError(
            f"no arm named {reference!r} to compare with", hint=f"the arms are {', '.join(names) or 'none'}"
        )
    return sorted(arms, key=lambda arm: arm.name != reference)


def _common_seeds(arms: Sequence[ArmResult]) -> tuple[tuple[int, ...], list[str]]:
    per_arm = {arm.name: arm.finished_seeds for arm in arms}
    common = frozenset.intersection(*per_arm.values())
    if not common:
        listed = "; ".join(f"{name}: {sorted(seeds) or 'none'}" for name, seeds in per_arm.items())
        raise CobraError(f"the arms share no finished seed ({listed})", hint="run the study to its end first")
    seeds = tuple(sorted(common))
    lacking: dict[tuple[str, ...], list[int]] = {}
    for seed in sorted(frozenset.union(*per_arm.values()) - common):
        lacking.setdefault(tuple(arm for arm, finished in per_arm.items() if seed not in finished), []).append(seed)
    if not lacking:
        return seeds, []
    reasons = [f"{grid.seeds(left)} left out: no finished run of {', '.join(names)}" for names, left in lacking.items()]
    return seeds, [f"{'; '.join(reasons)}. Every score and every comparison rests on {grid.seeds(seeds)} of each arm"]


def _row(arms: Sequence[ArmResult], benchmark: BenchmarkInfo, design: Design) -> TableRow | None:
    scored = [arm for arm in arms if _complete(arm.scores.get(benchmark.name), design.seeds)]
    if not scored:
        return None
    aligned = _align([(arm.name, arm.scores[benchmark.name]) for arm in scored], design.seeds, benchmark.name)
    matrices = dict(zip((arm.name for arm in scored), np.split(aligned.scores, len(scored)), strict=True))
    groups = aligned.groups if benchmark.mean_of_groups else None
    intervals = Intervals(aligned.clusters, groups, design)
    reference = matrices.get(arms[0].name)
    column = paper_column(benchmark.name)
    return TableRow(
        benchmark=benchmark.name,
        label=column_label(column) if column else "",
        rule=benchmark.rule,
        questions=len(aligned.question_ids),
        images=int(aligned.clusters.max()) + 1,
        floor=points(benchmark.floor),
        ceiling=points(benchmark.ceiling),
        scores={name: intervals.of_score(matrix) for name, matrix in matrices.items()},
        differences={
            name: intervals.of_difference(matrix, reference)
            for name, matrix in matrices.items()
            if reference is not None and name != arms[0].name
        },
        controls={
            arm.name: _control(arm, benchmark, design)
            for arm in scored
            if _complete(arm.control.get(benchmark.name), design.seeds)
        },
        parts=_parts(aligned, matrices, benchmark, design),
        choice_mass=_least({arm.name: arm.choice_mass for arm in scored}, benchmark, design.seeds),
        control_choice_mass=_least({arm.name: arm.control_choice_mass for arm in scored}, benchmark, design.seeds),
        protocol=benchmark.protocol,
        afterwards=benchmark.afterwards,
    )


def _least(masses: Mapping[str, ChoiceMasses], benchmark: BenchmarkInfo, seeds: tuple[int, ...]) -> dict[str, float]:
    """Returns per arm the smallest mass of a benchmark's choices over the seeds; arms of which none is known lack."""
    known = {arm: by_benchmark.get(benchmark.name, {}) for arm, by_benchmark in masses.items()}
    least = {
        arm: min((by_seed[seed] for seed in seeds if seed in by_seed), default=None) for arm, by_seed in known.items()
    }
    return {arm: mass for arm, mass in least.items() if mass is not None}


def _parts(
    aligned: Aligned, matrices: Mapping[str, NDArray[np.float64]], benchmark: BenchmarkInfo, design: Design
) -> tuple[TablePart, ...]:
    """Returns the benchmark's groups in the order of their names; none where all questions are of one."""
    if len(aligned.group_names) < 2:
        return ()
    parts = []
    for number, name in sorted(enumerate(aligned.group_names), key=lambda item: item[1]):
        inside = aligned.groups == number
        clusters = np.unique(aligned.clusters[inside], return_inverse=True)[1]
        intervals = Intervals(clusters, None, design)
        parts.append(
            TablePart(
                name=name,
                questions=int(inside.sum()),
                floor=points(benchmark.group_floors.get(name)),
                scores={arm: intervals.of_score(matrix[:, inside]) for arm, matrix in matrices.items()},
            )
        )
    return tuple(parts)


def _control(arm: ArmResult, benchmark: BenchmarkInfo, design: Design) -> ScoreDifference:
    pairs = [(arm.name, arm.scores[benchmark.name]), (f"{arm.name} control", arm.control[benchmark.name])]
    aligned = _align(pairs, design.seeds, benchmark.name)
    right, wrong = np.split(aligned.scores, 2)
    groups = aligned.groups if benchmark.mean_of_groups else None
    return Intervals(aligned.clusters, groups, design).of_control(right, wrong)


def _with_holm(rows: tuple[TableRow, ...]) -> tuple[TableRow, ...]:
    """Corrects the p values for all comparisons of the table at once."""
    # Rows are frozen and p values of arms without an interval are None, so places are remembered beside the values.
    places = [(index, arm) for index, row in enumerate(rows) for arm in row.differences]
    values = [rows[index].differences[arm].p_value for index, arm in places]
    known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
    corrected = dict(zip((place for place, _ in known), holm([value for _, value in known]), strict=True))
    corrected_rows = []
    for index, row in enumerate(rows):
        holms = {arm: corrected.get((index, arm)) for arm in row.differences}
        differences = {arm: replace(row.differences[arm], p_holm=p_value) for arm, p_value in holms.items()}
        corrected_rows.append(replace(row, differences=differences))
    return tuple(corrected_rows)


def _paper_note(paper: PaperReference, reference: str, benchmarks: Sequence[BenchmarkInfo]) -> PaperNote:
    table = paper_table(paper.table)
    if reference not in paper.rows:
        raise CobraError(
            f"the recipe names no row of {paper.table} for the reference arm {reference!r}",
            where="ablation.paper.rows",
            hint=f"its rows are {', '.join(table.rows)}",
        )
    wanted = (paper_column(benchmark.name) for benchmark in benchmarks)
    columns = [column for column in dict.fromkeys(wanted) if column and column in table.columns]
    base = paper.rows[reference]
    scores = {
        arm: {column: number for column in columns if (number := table.row(row).number(column)) is not None}
        for arm, row in paper.rows.items()
    }
    differences = {
        arm: {column: value for column, value in table.differences(row, base).items() if column in columns}
        for arm, row in paper.rows.items()
        if arm != reference
    }
    return PaperNote(
        table.title,
        table.source,
        table.confidence,
        table.note,
        tuple(columns),
        paper.rows,
        scores,
        differences,
    )


def _align(runs: Sequence[tuple[str, _Runs]], seeds: tuple[int, ...], benchmark: str) -> Aligned:
    """Rows of the result: all seeds of the first run, then all of the second, and so on."""
    lists = [by_seed[seed] for _, by_seed in runs for seed in seeds]
    names = [f"{benchmark} of {name}, seed {seed}" for name, _ in runs for seed in seeds]
    return align(lists, names)


def _complete(runs: _Runs | None, seeds: tuple[int, ...]) -> bool:
    return runs is not None and all(runs.get(seed) for seed in seeds)
