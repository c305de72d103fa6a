"""How far a study is, from its storage and its folder; no recipe is needed, and nothing is changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cobra_kit.errors import CobraError
from cobra_kit.study.engine import STUDY_NAME
from cobra_kit.study.folder import MANIFEST
from cobra_kit.study.kinds import RUN
from cobra_kit.study.trials import ERROR, NAME, REASON, open_storage
from cobra_kit.study.trials.lease import read_mark
from cobra_kit.study.trials.storage import JOURNAL

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStatus:
    """One trial. JSON-able by `asdict`.

    Args:
        number: In the study.
        name: The arm and seed, or `trial-0007`.
        state: waiting, running, complete, pruned or fail.
        params: Its values.
        values: What it reached, if it is complete.
        step: Optimiser steps done, of the stage at hand.
        stage: That stage.
        worker: Host and process, while it runs.
        note: Why it failed or was pruned.
        seconds: From its begin to its end, or until now.
    """

    number: int
    name: str
    state: str
    params: dict[str, Any]
    values: list[float] | None
    step: int | None
    stage: str
    worker: str
    note: str
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study. JSON-able by `asdict`.

    Args:
        study: Its recipe's name.
        folder: Where it is.
        metrics: What the values are.
        directions: Which way is better.
        trials: In order.
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
        return sum(one.state == state for one in self.trials)


def study_status(folder: Path, storage: str | None = None) -> StudyStatus:
    """Returns how far a study is.

    Args:
        folder: Its folder.
        storage: URL of the database, if it was given one.

    Raises:
        CobraError: There is no study, or its storage cannot be read.
    """
    import optuna

    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CobraError(
            "no study here", where=str(folder), hint="Give the folder that cobra-kit run or sweep made."
        ) from error
    if storage is None and not (folder / JOURNAL).exists():
        raise CobraError(
            "the study keeps its trials elsewhere, or has none yet",
            where=str(folder),
            hint="Give the --storage that it was started with.",
        )
    name = STUDY_NAME if storage is None else str(manifest["study"])
    study = optuna.load_study(study_name=name, storage=open_storage(storage, folder), sampler=None)
    trials = [_status(one, folder) for one in study.get_trials(deepcopy=False)]
    return StudyStatus(
        study=str(manifest["study"]),
        folder=str(folder),
        metrics=list(study.metric_names or []),
        directions=[one.name.lower() for one in study.directions],
        trials=trials,
        seconds_left=_left(trials),
    )


def _status(trial: FrozenTrial, folder: Path) -> TrialStatus:
    name = str(trial.user_attrs.get(NAME, f"trial {trial.number}"))
    state = trial.state.name.lower()
    mark = read_mark(trial.user_attrs) if state == "running" else None
    stage, step = (
        _progress(folder / "runs" / str(trial.user_attrs.get(RUN, name))) if state == "running" else ("", None)
    )
    end = trial.datetime_complete or (datetime.now() if state == "running" else None)
    return TrialStatus(
        number=trial.number,
        name=name,
        state=state,
        params=dict(trial.params),
        values=list(trial.values) if trial.values is not None else None,
        step=step,
        stage=stage,
        worker=str(mark.owner) if mark else "",
        note=str(trial.user_attrs.get(ERROR) or trial.user_attrs.get(REASON) or ""),
        seconds=(end - trial.datetime_start).total_seconds() if end and trial.datetime_start else None,
    )


def _progress(run_folder: Path) -> tuple[str, int | None]:
    """Returns the stage and the step of the last line of metrics."""
    try:
        last = (run_folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        line = json.loads(last)
        return str(line["stage"]), int(line["step"])
    except (OSError, ValueError, KeyError, IndexError):
        return "", None


def _left(trials: list[TrialStatus]) -> float | None:
    took = [one.seconds for one in trials if one.state == "complete" and one.seconds]
    running = [one.seconds or 0.0 for one in trials if one.state == "running"]
    waiting = sum(one.state == "waiting" for one in trials)
    if not took or not running:
        return 0.0 if not waiting and not running else None
    each = median(took)
    rest = sum(max(0.0, each - seconds) for seconds in running)
    return (waiting * each + rest) / len(running)
