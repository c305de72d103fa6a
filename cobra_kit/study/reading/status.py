"""The status of a study, from its storage and its folder; no recipe is needed, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from cobra_kit.evaluate.protocol import protocol_parts
from cobra_kit.events import Reporter, silent
from cobra_kit.recipe.sweep import COSTS
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.reading.at_work import is_abandoned
from cobra_kit.study.reading.stored_files import SPLIT, read_metrics, read_summary
from cobra_kit.study.reading.stored_study import read_study
from cobra_kit.study.reading.stored_trials import stored_trials
from cobra_kit.study.trial_attributes import NOT_EVALUATED, REPEATS, RUN
from cobra_kit.trials import ERROR, INFEASIBLE, NAME, REASON, trial_name
from cobra_kit.trials.lease import read_lease

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

State = Literal["waiting", "running", "stopped", "complete", "pruned", "infeasible", "failed"]
"""What became of a trial; a stopped one was begun, and its worker is gone; an infeasible one was pruned before it cost
anything."""
STATES: Final[tuple[State, ...]] = get_args(State)
WAITING, RUNNING, STOPPED, COMPLETE, FAILED = "waiting", "running", "stopped", "complete", "failed"
OPEN = (RUNNING, STOPPED, WAITING)
"""The states of trials that have not ended."""


_STATES: Final[dict[str, State]] = {
    "WAITING": "waiting",
    "RUNNING": "running",
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStatus:
    """One trial. JSON-able by `asdict`.

    Args:
        number: The trial's number in the study.
        name: The arm and seed, or `trial-0007`.
        state: One of `STATES`.
        params: The values of its parameters, by name.
        values: What it reached, if it is complete.
        stage: The stage of training at hand, while it runs.
        step: Optimiser steps done of that stage.
        steps: How many optimiser steps that stage has.
        worker: Host and process, while it runs; of a stopped one the note names it.
        note: Why it failed, was pruned, or is infeasible; that it took over what another trial found.
        seconds: Seconds from its begin to its end, or until now.
        seconds_left: Seconds until the stage at hand ends.
    """

    number: int
    name: str
    state: State
    params: dict[str, Any]
    values: list[float] | None
    stage: str
    step: int | None
    steps: int | None
    worker: str
    note: str
    seconds: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study. JSON-able by `asdict`.

    Args:
        study: Name of the study.
        folder: Path of its folder.
        metrics: Names of the objectives.
        directions: For each of them, `minimize` or `maximize`.
        trials: The trials in order; of a point that was tried again, the last one.
        seconds_left: Estimated from finished trials and the workers at hand; None while nothing is known.
        protocols: How the best trial was asked and scored: benchmark to a text by the name of each part.
    """

    study: str
    folder: str
    metrics: list[str]
    directions: list[str]
    trials: list[TrialStatus]
    seconds_left: float | None
    protocols: dict[str, dict[str, str]] = field(default_factory=dict)

    def count(self, state: str) -> int:
        """Returns how many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def ended(self) -> int:
        """Returns how many trials have ended."""
        return len(self.trials) - sum(map(self.count, OPEN))

    @property
    def best(self) -> TrialStatus | None:
        """Returns the trial that is best by the first value, the earliest of equals."""
        sign = -1 if self.directions[0] == "maximize" else 1
        ranked = [
            (sign * trial.values[0], trial.number, trial)
            for trial in self.trials
            if trial.state == COMPLETE and trial.values
        ]
        return min(ranked)[-1] if ranked else None

    def format_values(self, values: Sequence[float]) -> str:
        """Returns values with their names; accuracies are in percent."""
        return "  ".join(f"{name} {_number(name, value)}" for name, value in zip(self.metrics, values, strict=True))


def study_status(folder: Path, storage: str | None = None, report: Reporter = silent) -> StudyStatus:
    """Returns how far a study is.

    Args:
        folder: The folder of the study.
        storage: URL of the database, if it was given one.
        report: Told that a database is waited for.

    Raises:
        CobraError: There is no study, or its storage cannot be read.
    """
    stored = read_study(folder)
    status = read_status(stored_trials(stored, storage, report=report), folder, stored.trials_name)
    return replace(status, protocols=_protocols(folder, status))


def read_status(study: Study, folder: Path, name: str) -> StudyStatus:
    """Returns how far an open study is.

    Args:
        study: The study as Optuna has it.
        folder: The folder of the study.
        name: The name that it is shown under.
    """
    ours = [trial for trial in study.get_trials(deepcopy=False) if NAME in trial.user_attrs]
    latest = {trial_name(trial, folder): trial for trial in ours}
    trials = [_status(trial, folder) for trial in sorted(latest.values(), key=lambda trial: trial.number)]
    return StudyStatus(
        study=name,
        folder=str(folder),
        metrics=list(study.metric_names or []),
        directions=[direction.name.lower() for direction in study.directions],
        trials=trials,
        seconds_left=_left(trials),
    )


def _protocols(folder: Path, status: StudyStatus) -> dict[str, dict[str, str]]:
    if status.best is None:
        return {}
    summary = read_summary(folder / "runs" / status.best.name)
    condition = SPLIT if any(SPLIT in metric for metric in status.metrics) else "val"
    return {
        name: protocol_parts(protocol)
        for name, entry in summary.get(condition, {}).items()
        if (protocol := entry.get("protocol")) is not None
    }


def state_of(trial: FrozenTrial) -> State:
    """Returns what became of a trial."""
    if trial.user_attrs.get(INFEASIBLE):
        return "infeasible"
    return _STATES[trial.state.name]


def _status(trial: FrozenTrial, folder: Path) -> TrialStatus:
    name, state = trial_name(trial, folder), state_of(trial)
    running = state == RUNNING
    run = trial_name(trial, folder, RUN) if RUN in trial.user_attrs else name
    note = _note(trial)
    lease = read_lease(trial.user_attrs) if running else None
    line = _last_step(folder / "runs" / run) if running else {}
    if running and is_abandoned(trial, StudyFolder(folder), run):
        state, running = "stopped", False
        note = f"{lease.owner if lease else 'its worker'} is gone; the command that began the study goes on"
    step, steps, seconds = line.get("step"), line.get("steps"), line.get("seconds")
    end = trial.datetime_complete or (datetime.now() if running else None)
    return TrialStatus(
        number=trial.number,
        name=name,
        state=state,
        params=dict(trial.params),
        values=_values(trial) if state == COMPLETE else None,
        stage=str(line.get("stage", "")),
        step=step,
        steps=steps,
        worker=str(lease.owner) if lease and running else "",
        note=note,
        seconds=(end - trial.datetime_start).total_seconds() if end and trial.datetime_start else None,
        seconds_left=(steps - step) * seconds / step if running and step and steps and seconds else None,
    )


def _values(trial: FrozenTrial) -> list[float] | None:
    return None if trial.values is None or trial.user_attrs.get(NOT_EVALUATED) else list(trial.values)


def _note(trial: FrozenTrial) -> str:
    if (earlier := trial.user_attrs.get(REPEATS)) is not None:
        return f"as {earlier}, which has the same values"
    if trial.user_attrs.get(NOT_EVALUATED):
        return "not evaluated"
    return str(trial.user_attrs.get(ERROR) or trial.user_attrs.get(REASON) or "")


def _last_step(run_folder: Path) -> dict[str, Any]:
    """Returns the last line of a run's metrics that tells of training; empty if there is none."""
    return next((line for line in reversed(read_metrics(run_folder, last=20)) if "loss" in line), {})


def _left(trials: list[TrialStatus]) -> float | None:
    took = [trial.seconds for trial in trials if trial.state == COMPLETE and trial.seconds]
    running = [trial.seconds or 0.0 for trial in trials if trial.state == RUNNING]
    waiting = sum(trial.state in (WAITING, STOPPED) for trial in trials)
    if not took or not running:
        return 0.0 if not waiting and not running else None
    each = median(took)
    rest = sum(max(0.0, each - seconds) for seconds in running)
    return (waiting * each + rest) / len(running)


def _number(metric: str, value: float) -> str:
    if metric in COSTS:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{100 * value:.1f}"
