"""The progress of a study's runs, and what they logged, from their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cobra_kit.errors import UnreadableFile
from cobra_kit.report.learning import MEAN
from cobra_kit.report.view import RunState, RunView, StageCurve
from cobra_kit.study.folder import METRICS
from cobra_kit.study.reading.at_work import is_at_work
from cobra_kit.study.reading.stored_files import (
    SPLIT,
    damaged_metrics,
    is_scored,
    read_metrics,
    read_run_manifest,
    read_training,
)
from cobra_kit.study.reading.stored_study import StoredRun, StoredStudy
from cobra_kit.study.reading.validations import Curves, validation_curves


def run_views(study: StoredStudy) -> tuple[RunView, ...]:
    """Returns all runs of a study with their curves."""
    return tuple(_view(study, run, study.folder.run(run)) for run in study.runs)


def missing(study: StoredStudy, finished: StoredStudy | None, runs: tuple[RunView, ...]) -> tuple[str, ...]:
    """Returns what is not done, for a report that is made before the end."""
    lines = [f"{run.name}: {_state(run)}" for run in runs if run.state != "finished"]
    for run in study.runs:
        try:
            read_run_manifest(study.folder.run(run))
        except UnreadableFile as error:
            lines.append(f"{error.where}: {error.message}")
        if damaged := damaged_metrics(study.folder.run(run)):
            file = study.folder.run(run) / METRICS
            lines.append(f"{file}: damaged lines ({damaged}), which the curves leave out")
    if finished is None:
        return (*lines, "no run is finished, so there is no table yet")
    left_out = [arm for arm in study.arms if arm not in finished.arms]
    if left_out:
        lines.append(f"not in the table: {', '.join(left_out)}")
    if study.reference not in finished.arms and len(finished.arms) > 1:
        lines.append(f"the reference {study.reference} is not finished; {finished.reference} stands in for it")
    return tuple(lines)


def _state(run: RunView) -> str:
    if run.state == "training" and run.step is not None:
        return f"in training, step {run.step:,}"
    if run.state == "stopped":
        step = "" if run.step is None else f" at step {run.step:,}"
        return f"stopped{step}: nobody works on it; the command that began the study goes on"
    return "trained, not scored" if run.state == "trained" else run.state


def _view(study: StoredStudy, run: StoredRun, folder: Path) -> RunView:
    lines = read_metrics(folder)
    stages = dict.fromkeys(str(line["stage"]) for line in lines)
    accuracies = validation_curves(lines)
    return RunView(
        name=run.name,
        arm=run.arm,
        seed=run.seed,
        state=_run_state(study, run, folder, started=bool(lines) or folder.is_dir()),
        step=max((int(line["step"]) for line in lines if line["stage"] == list(stages)[-1]), default=None),
        curves=tuple(
            _curve(stage, [line for line in lines if line["stage"] == stage], accuracies.get(stage, {}))
            for stage in stages
        ),
    )


def _run_state(study: StoredStudy, run: StoredRun, folder: Path, *, started: bool) -> RunState:
    if is_scored(folder, SPLIT):
        return "finished"
    if read_training(folder) is not None:
        return "trained"
    if not started:
        return "not started"
    return "training" if is_at_work(study.folder, run.name) else "stopped"


def _curve(stage: str, lines: list[dict[str, Any]], accuracies: Curves) -> StageCurve:
    return StageCurve(
        stage=stage,
        losses=tuple((float(line["step"]), float(line["loss"])) for line in lines if "loss" in line),
        validations=accuracies.get(MEAN, ()),
        accuracies={name: curve for name, curve in accuracies.items() if name != MEAN},
    )
