"""A study's results from its files: what a finished run left, the table of all of them, the reference's standing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.answers import read_probabilities
from cobra_kit.evaluate.protocol import protocol_parts
from cobra_kit.evaluate.score import mean_choice_mass
from cobra_kit.files import inside
from cobra_kit.report import AblationTable, ArmResult, BenchmarkInfo, Calibration, build_table, calibrate
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.folder import PREDICTIONS, SCORES, StudyFolder
from cobra_kit.study.reading.protocols import Columns
from cobra_kit.study.reading.run_machines import run_machines
from cobra_kit.study.reading.stored_evaluations import StoredEvaluation, column_titles, read_evaluations
from cobra_kit.study.reading.stored_files import (
    AGAIN,
    SPLIT,
    Training,
    read_benchmark_scores,
    read_summary,
    read_training,
)
from cobra_kit.study.reading.validations import Curves, whole_curves

if TYPE_CHECKING:
    from cobra_kit.study.plan.study_plan import StudyPlan
    from cobra_kit.study.reading.stored_study import StoredStudy


def read_summaries(run_folder: Path, what: str) -> dict[str, float]:
    """Returns the main number of every benchmark of a condition, 0 to 1; those without one are left out.

    Raises:
        CobraError: The condition is not scored.
    """
    benchmarks = read_summary(run_folder).get(what)
    if benchmarks is None:
        raise CobraError(f"{what} is not scored", where=str(run_folder), hint=AGAIN)
    main = {name: next(iter(entry["summary"].values())) for name, entry in benchmarks.items()}
    return {name: float(value) for name, value in main.items() if value is not None}


def run_scores(run_folder: Path) -> dict[str, list[QuestionScore]]:
    """Returns a finished run's scored test questions by benchmark."""
    listed = read_summary(run_folder).get(SPLIT, {})
    return {name: read_benchmark_scores(run_folder, entry) for name, entry in listed.items()}


def study_table(plan: StudyPlan | StoredStudy, folder: StudyFolder) -> AblationTable:
    """Returns the table of all finished runs.

    Raises:
        CobraError: No run is finished, or results are damaged.
    """
    arms, own, told = _results(plan, folder)
    arms, later = _asked_afterwards(plan, folder, arms)
    benchmarks = [*own, *later]
    shared = frozenset.intersection(*(arm.finished or frozenset() for arm in arms))
    with _runs_named(folder):
        table = build_table(
            arms,
            benchmarks,
            reference=plan.reference,
            factor=plan.factor,
            profile=plan.profile,
            split=SPLIT,
            paper=plan.paper,
            left_out=plan.left_out,
            machines=run_machines(folder.run(run) for run in plan.runs if run.seed in shared),
        )
    return replace(table, notes=(*table.notes, *told)) if told else table


def study_calibration(study: StoredStudy) -> Calibration:
    """Returns how well the study's benchmarks can tell arms apart, by its reference arm's finished runs.

    Raises:
        CobraError: The reference has no finished run, there are no benchmarks, or results are damaged.
    """
    # Without what a run was asked afterwards: that says nothing about how hard the study's own questions are.
    arms, benchmarks, _ = _results(study, study.folder)
    with _runs_named(study.folder):
        return calibrate(arms, benchmarks, reference=study.reference)


def _results(
    plan: StudyPlan | StoredStudy, folder: StudyFolder
) -> tuple[list[ArmResult], list[BenchmarkInfo], list[str]]:
    """Returns the arms, the study's own benchmarks, and what distinguishes those that were asked in several ways."""
    summaries = {run.name: read_summary(folder.run(run)) for run in plan.runs}
    columns = _columns(plan, summaries)
    benchmarks: dict[str, BenchmarkInfo] = {}
    for summary in summaries.values():
        for name, entry in summary.get(SPLIT, {}).items():
            column = columns.of(name, entry)
            benchmarks.setdefault(column, _benchmark(column, entry))
    arms = [_arm(plan, folder, arm, summaries, columns) for arm in plan.arms]
    return arms, list(benchmarks.values()), columns.remarks()


def _columns(plan: StudyPlan | StoredStudy, summaries: Mapping[str, dict[str, Any]]) -> Columns:
    names = {run.name: run.arm != plan.reference for run in plan.runs}
    return Columns(
        (name, entry)
        for run in sorted(names, key=names.__getitem__)
        for what, entries in summaries[run].items()
        if what != "val"
        for name, entry in entries.items()
    )


def _asked_afterwards(
    plan: StudyPlan | StoredStudy, folder: StudyFolder, arms: list[ArmResult]
) -> tuple[list[ArmResult], list[BenchmarkInfo]]:
    """Returns arms with what their runs were asked beside the study's questions, and those benchmarks by protocol."""
    asked = {run.name: read_evaluations(folder.run(run)) for run in plan.runs}
    titles = column_titles(evaluation for evaluations in asked.values() for evaluation in evaluations)
    benchmarks: dict[str, BenchmarkInfo] = {}
    for evaluations in asked.values():
        for evaluation in evaluations:
            title = titles[evaluation.column]
            benchmarks.setdefault(title, replace(_benchmark(title, evaluation.entry), afterwards=True))
    return [_with_evaluations(arm, plan, folder, asked, titles) for arm in arms], list(benchmarks.values())


def _with_evaluations(
    arm: ArmResult,
    plan: StudyPlan | StoredStudy,
    folder: StudyFolder,
    asked: Mapping[str, list[StoredEvaluation]],
    titles: Mapping[tuple[str, str], str],
) -> ArmResult:
    scores = {name: dict(by_seed) for name, by_seed in arm.scores.items()}
    choice_mass = {name: dict(by_seed) for name, by_seed in arm.choice_mass.items()}
    for run in plan.runs:
        for evaluation in asked[run.name] if run.arm == arm.name else ():
            title = titles[evaluation.column]
            scores.setdefault(title, {})[run.seed] = read_benchmark_scores(folder.run(run), evaluation.entry)
            if (mass := evaluation.entry.get("choice_mass")) is not None:
                choice_mass.setdefault(title, {})[run.seed] = mass
    return replace(arm, scores=scores, choice_mass=choice_mass)


@contextmanager
def _runs_named(folder: StudyFolder) -> Iterator[None]:
    """Names the runs in errors about scores that do not fit each other: a table knows arms and questions, no files."""
    try:
        yield
    except CobraError as error:
        if error.where is not None:
            raise
        raise CobraError(error.message, where=str(folder.path / "runs"), hint=error.hint) from error


def _arm(
    plan: StudyPlan | StoredStudy,
    folder: StudyFolder,
    arm: str,
    summaries: Mapping[str, dict[str, Any]],
    columns: Columns,
) -> ArmResult:
    scores: dict[str, dict[int, list[QuestionScore]]] = {}
    control: dict[str, dict[int, list[QuestionScore]]] = {}
    choice_mass: dict[str, dict[int, float]] = {}
    control_choice_mass: dict[str, dict[int, float]] = {}
    trainings: list[Training] = []
    finished: set[int] = set()
    validations: dict[str, dict[int, Curves]] = {}
    for run in plan.runs:
        if run.arm != arm:
            continue
        place = folder.run(run)
        if SPLIT in summaries[run.name]:
            finished.add(run.seed)
        for what, by_benchmark in summaries[run.name].items():
            for name, entry in by_benchmark.items():
                if what == "val":
                    continue  # selects, and is never reported
                into, column = (scores if what == SPLIT else control), columns.of(name, entry)
                into.setdefault(column, {})[run.seed] = read_benchmark_scores(place, entry)
                if (mass := _choice_mass(place, what, name, entry)) is not None:
                    masses = choice_mass if what == SPLIT else control_choice_mass
                    masses.setdefault(column, {})[run.seed] = mass
        if (training := read_training(place)) is not None:
            trainings.append(training)
        for stage, curves in whole_curves(place, training).items():
            validations.setdefault(stage, {})[run.seed] = curves
    rates = [rate for training in trainings if (rate := training.tokens_per_second) is not None]
    return ArmResult(
        name=arm,
        scores=scores,
        control=control,
        choice_mass=choice_mass,
        control_choice_mass=control_choice_mass,
        image_tokens=trainings[0].image_tokens if trainings else None,
        parameters_trained=trainings[0].parameters_trained if trainings else None,
        training_seconds=fmean(training.seconds for training in trainings) if trainings else None,
        shared_seconds=fmean(training.shared_seconds for training in trainings) if trainings else 0.0,
        tokens_per_second=fmean(rates) if rates else None,
        finished=frozenset(finished),
        validations=validations,
    )


def _benchmark(name: str, entry: Mapping[str, Any]) -> BenchmarkInfo:
    return BenchmarkInfo(
        name=name,
        rule=entry["rule"],
        floor=entry["floor"],
        ceiling=entry["ceiling"],
        mean_of_groups=entry["mean_of_groups"],
        group_floors=entry.get("group_floors", {}),
        left_out=entry.get("left_out", 0),
        protocol=protocol_parts(protocol) if (protocol := entry.get("protocol")) else {},
    )


def _choice_mass(run_folder: Path, what: str, name: str, entry: Mapping[str, Any]) -> float | None:
    """Returns how probable a benchmark's choices were; older scores do not have it, but their predictions do."""
    if "choice_mass" in entry:
        mass: float | None = entry["choice_mass"]
        return mass
    file = inside(run_folder, f"{PREDICTIONS}/{what}/{name}.jsonl", run_folder / SCORES, hint=AGAIN)
    return mean_choice_mass(read_probabilities(file))
