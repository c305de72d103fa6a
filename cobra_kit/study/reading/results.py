"""A study's results from its files: what a finished run left, and the table of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from cobra_kit.data.rows import HeldOutSplit
from cobra_kit.errors import CobraError
from cobra_kit.evaluate.score import BenchmarkScore, mean_choice_mass, read_scores, write_scores
from cobra_kit.files import read_json_lines, write_json, write_text
from cobra_kit.report import (
    AblationTable,
    ArmResult,
    BenchmarkInfo,
    PaperReference,
    build_table,
    render_markdown,
    table_to_json,
)
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.folder import Named, StudyFolder

SPLIT: HeldOutSplit = "test"
SCORES, TRAINING = "scores.json", "training.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What training a run took. JSON-able by `asdict`.

    Args:
        seconds: In optimiser steps of the run's own stages, over all processes.
        tokens: Real tokens that went through the model.
        padding_share: Share of all positions that was padding.
        parameters_trained: How many parameters some stage trained.
        image_tokens: Tokens of one picture in the language model's input.
        stages: The stages' own figures; of one that other runs use too, also its key (`shared`) and which run made it.
        shared_seconds: In stages that were trained once for this run and others.
        peak_memory_bytes: The most memory that training took in its last process; None where nobody knows.
    """

    seconds: float
    tokens: int
    padding_share: float
    parameters_trained: int
    image_tokens: int
    stages: list[dict[str, Any]]
    shared_seconds: float = 0.0
    peak_memory_bytes: int | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Returns real tokens per second of training."""
        seconds = self.seconds + self.shared_seconds
        return self.tokens / seconds if seconds else None


def condition(control: str | None, split: HeldOutSplit = SPLIT) -> str:
    """Returns the name of what is scored: `test`, `val`, or `test-shuffled-images`."""
    return f"{split}-{control}" if control else split


def read_training(run_folder: Path) -> Training | None:
    """Returns what training took, or None if it is not finished."""
    content = _read(run_folder / TRAINING)
    return None if content is None else Training(**content)


def write_training(run_folder: Path, training: Training) -> None:
    """Marks a run's training as finished; the model must have been saved before."""
    write_json(run_folder / TRAINING, asdict(training))


def is_scored(run_folder: Path, what: str) -> bool:
    """Returns whether a run has all scores of a condition."""
    return what in (_read(run_folder / SCORES) or {})


def read_summaries(run_folder: Path, what: str) -> dict[str, float]:
    """Returns the main number of every benchmark of a condition, 0 to 1; those without one are left out.

    Raises:
        CobraError: The condition is not scored.
    """
    found = (_read(run_folder / SCORES) or {}).get(what)
    if found is None:
        raise CobraError(f"{what} is not scored", where=str(run_folder))
    main = {name: next(iter(entry["summary"].values())) for name, entry in found.items()}
    return {name: float(value) for name, value in main.items() if value is not None}


def write_results(run_folder: Path, what: str, scored: Mapping[str, BenchmarkScore]) -> None:
    """Writes the scores of a condition: those of questions first, then the summary that says they are complete."""
    for name, one in scored.items():
        write_scores(run_folder / _score_file(what, name), one.scores)
    summary = _read(run_folder / SCORES) or {}
    summary[what] = {name: one.entry(_score_file(what, name)) for name, one in scored.items()}
    write_json(run_folder / SCORES, summary)


class Studied(Protocol):
    """What a table needs to know about a study: its plan says it, and so do its files (`stored`)."""

    @property
    def runs(self) -> Sequence[Named]:
        """Returns the runs."""
        ...

    @property
    def arms(self) -> tuple[str, ...]:
        """Returns the arms, in the recipe's order."""
        ...

    @property
    def reference(self) -> str:
        """Returns the arm that the others are compared with."""
        ...

    @property
    def factor(self) -> str:
        """Returns what the arms differ in."""
        ...

    @property
    def profile(self) -> str:
        """Returns the recipe's profile; may be empty."""
        ...

    @property
    def paper(self) -> PaperReference | None:
        """Returns the published rows to compare with."""
        ...

    @property
    def left_out(self) -> Mapping[str, str]:
        """Returns the arms that are not run, with the reason."""
        ...


def run_scores(run_folder: Path) -> dict[str, list[QuestionScore]]:
    """Returns a finished run's scored test questions by benchmark."""
    listed = (_read(run_folder / SCORES) or {}).get(SPLIT, {})
    return {name: read_scores(run_folder / entry["file"]) for name, entry in listed.items()}


def study_table(plan: Studied, folder: StudyFolder) -> AblationTable:
    """Returns the table of all finished runs.

    Raises:
        CobraError: No run is finished, or results are damaged.
    """
    summaries = {run.name: _read(folder.run(run) / SCORES) or {} for run in plan.runs}
    arms = [_arm(plan, folder, arm, summaries) for arm in plan.arms]
    benchmarks: dict[str, BenchmarkInfo] = {}
    for summary in summaries.values():
        for name, entry in summary.get(SPLIT, {}).items():
            benchmarks.setdefault(name, _benchmark(name, entry))
    return build_table(
        arms,
        list(benchmarks.values()),
        reference=plan.reference,
        factor=plan.factor,
        profile=plan.profile,
        split=SPLIT,
        paper=plan.paper,
        left_out=plan.left_out,
    )


def write_table(folder: StudyFolder, table: AblationTable) -> None:
    """Writes the table as Markdown and as JSON."""
    write_text(folder.table_markdown, render_markdown(table))
    write_text(folder.table_json, table_to_json(table))


def _arm(plan: Studied, folder: StudyFolder, arm: str, summaries: Mapping[str, dict[str, Any]]) -> ArmResult:
    scores: dict[str, dict[int, list[QuestionScore]]] = {}
    control: dict[str, dict[int, list[QuestionScore]]] = {}
    choice_mass: dict[str, dict[int, float]] = {}
    control_choice_mass: dict[str, dict[int, float]] = {}
    trainings: list[Training] = []
    finished: set[int] = set()
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
                into = scores if what == SPLIT else control
                into.setdefault(name, {})[run.seed] = read_scores(place / entry["file"])
                if (mass := _choice_mass(place, what, name, entry)) is not None:
                    masses = choice_mass if what == SPLIT else control_choice_mass
                    masses.setdefault(name, {})[run.seed] = mass
        if (training := read_training(place)) is not None:
            trainings.append(training)
    rates = [rate for one in trainings if (rate := one.tokens_per_second) is not None]
    return ArmResult(
        name=arm,
        scores=scores,
        control=control,
        choice_mass=choice_mass,
        control_choice_mass=control_choice_mass,
        image_tokens=trainings[0].image_tokens if trainings else None,
        parameters_trained=trainings[0].parameters_trained if trainings else None,
        training_seconds=fmean(one.seconds for one in trainings) if trainings else None,
        shared_seconds=fmean(one.shared_seconds for one in trainings) if trainings else 0.0,
        tokens_per_second=fmean(rates) if rates else None,
        finished=frozenset(finished),
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
    )


def _choice_mass(run_folder: Path, what: str, name: str, entry: Mapping[str, Any]) -> float | None:
    """Returns how probable a benchmark's choices were; older scores do not have it, but their predictions do."""
    if "choice_mass" in entry:
        mass: float | None = entry["choice_mass"]
        return mass
    lines = read_json_lines(run_folder / "predictions" / what / f"{name}.jsonl")
    return mean_choice_mass([line.get("probabilities") for line in lines])


def _score_file(what: str, name: str) -> str:
    return f"scores/{what}/{name}.jsonl"


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CobraError(f"damaged: {error}", where=str(path), hint="Delete it and run again.") from error
    if not isinstance(content, dict):
        raise CobraError("damaged: not a mapping", where=str(path), hint="Delete it and run again.")
    return content
