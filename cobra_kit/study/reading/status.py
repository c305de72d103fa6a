"""How far a study is, from its storage and its folder; no recipe is needed, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from cobra_kit.errors import CobraError
from cobra_kit.recipe.sweep import COSTS
from cobra_kit.study.reading.stored_files import read_metrics
from cobra_kit.study.reading.stored_study import StoredStudy, read_study
from cobra_kit.study.trial_attributes import NOT_EVALUATED, REPEATS, RUN, STUDY_NAME, TEXTS
from cobra_kit.trials import ERROR, INFEASIBLE, NAME, REASON, open_storage, redact_url, trial_name
from cobra_kit.trials.lease import read_lease
from cobra_kit.trials.records import DATABASE_HINT, JOURNAL_HINT, check_records
from cobra_kit.trials.storage import JOURNAL
from cobra_kit.trials.storage_error import HIDDEN

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

State = Literal["waiting", "running", "complete", "pruned", "infeasible", "failed"]
"""What became of a trial; an infeasible one was pruned before it cost anything."""
STATES: Final[tuple[State, ...]] = get_args(State)
WAITING, RUNNING, COMPLETE, FAILED = "waiting", "running", "complete", "failed"


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
        number: In the study.
        name: The arm and seed, or `trial-0007`.
        state: One of `STATES`.
        params: Its values.
        values: What it reached, if it is complete.
        stage: The stage of training at hand, while it runs.
        step: Optimiser steps done of that stage.
        steps: Of how many.
        worker: Host and process, while it runs.
        note: Why it failed, was pruned, or is infeasible; that it took over what another trial found.
        seconds: From its begin to its end, or until now.
        seconds_left: Of the stage at hand.
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
        study: Its name.
        folder: Where it is.
        metrics: What the values are.
        directions: Which way is better.
        trials: In order; of a point that was tried again, the last one.
        seconds_left: Estimated from finished trials and the workers at hand; None while nothing is known.
    """

    study: str
    folder: str
    metrics: list[str]
    directions: list[str]
    trials: list[TrialStatus]
    seconds_left: float | None

    def count(self, state: str) -> int:
        """Returns how many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def ended(self) -> int:
        """Returns how many trials have ended."""
        return len(self.trials) - self.count(WAITING) - self.count(RUNNING)

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


def study_status(folder: Path, storage: str | None = None) -> StudyStatus:
    """Returns how far a study is.

    Args:
        folder: Its folder.
        storage: URL of the database, if it was given one.

    Raises:
        CobraError: There is no study, or its storage cannot be read.
    """
    stored = read_study(folder)
    return read_status(stored_trials(stored, storage), folder, stored.trials_name)


def stored_trials(stored: StoredStudy, storage: str | None = None) -> Study:
    """Returns the trials of a study, as Optuna has them.

    Args:
        stored: The study.
        storage: URL of the database; None: as the folder says, which keeps no password.

    Raises:
        CobraError: The storage cannot be read, or has no such study.
    """
    import optuna

    folder, noted = stored.path, stored.manifest.get("storage")
    if storage is None and noted and HIDDEN not in noted:
        storage = noted
    if storage is None and (noted or not (folder / JOURNAL).exists()):
        raise _no_trials(folder, noted)
    name = stored.trials_name if storage else STUDY_NAME
    try:
        sampler = optuna.samplers.RandomSampler()  # never asked
        study = optuna.load_study(study_name=name, storage=open_storage(storage, folder), sampler=sampler)
    except KeyError as error:
        raise _no_trials(folder, noted) from error
    where = redact_url(storage) if storage else str(folder / JOURNAL)
    check_records(study, where, DATABASE_HINT if storage else JOURNAL_HINT, TEXTS)
    return study


def read_status(study: Study, folder: Path, name: str) -> StudyStatus:
    """Returns how far an open study is.

    Args:
        study: Optuna's.
        folder: Its folder.
        name: Its name.
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


def _no_trials(folder: Path, noted: str | None) -> CobraError:
    if noted:
        return CobraError(f"the study keeps its trials in {noted}", where=str(folder), hint="Give it with --storage.")
    return CobraError("the study has no trials yet", where=str(folder), hint="cobra-kit run or sweep records them.")


def state_of(trial: FrozenTrial) -> State:
    """Returns what became of a trial."""
    if trial.user_attrs.get(INFEASIBLE):
        return "infeasible"
    return _STATES[trial.state.name]


def _status(trial: FrozenTrial, folder: Path) -> TrialStatus:
    name, state = trial_name(trial, folder), state_of(trial)
    running = state == RUNNING
    lease = read_lease(trial.user_attrs) if running else None
    run = trial_name(trial, folder, RUN) if RUN in trial.user_attrs else name
    line = _last_step(folder / "runs" / run) if running else {}
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
        worker=str(lease.owner) if lease else "",
        note=_note(trial),
        seconds=(end - trial.datetime_start).total_seconds() if end and trial.datetime_start else None,
        seconds_left=(steps - step) * seconds / step if step and steps and seconds else None,
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
    waiting = sum(trial.state == WAITING for trial in trials)
    if not took or not running:
        return 0.0 if not waiting and not running else None
    each = median(took)
    rest = sum(max(0.0, each - seconds) for seconds in running)
    return (waiting * each + rest) / len(running)


def _number(metric: str, value: float) -> str:
    if metric in COSTS:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{100 * value:.1f}"
