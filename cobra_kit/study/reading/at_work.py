"""Checks that somebody is at work on a run: what a killed worker wrote last still says that it works."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

from cobra_kit.locks import is_locked
from cobra_kit.study.folder import HOLDER, StudyFolder
from cobra_kit.trials import HeartbeatConfig
from cobra_kit.trials.lease import read_lease
from cobra_kit.trials.storage import JOURNAL
from cobra_kit.trials.worker_id import is_surely_dead

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_STARTING_SECONDS = 30.0
_QUIET_SECONDS = 2 * HeartbeatConfig().expire_seconds


def is_at_work(folder: StudyFolder, run: str) -> bool:
    """Returns whether a process works on a run, or may: of another machine nothing but its heartbeat is known.

    Args:
        folder: The folder of the study.
        run: The run's name.
    """
    # The table's maker trains the reference of a search, and holds no run's lock.
    held = [is_locked(path) for path in (folder.run_lock(run), folder.final_lock)]
    if True in held:
        return True
    return (None in held or _is_held_elsewhere(folder)) and _beats(folder)


def is_abandoned(trial: FrozenTrial, folder: StudyFolder, run: str) -> bool:
    """Returns whether the worker of a trial that is recorded as running is gone, and nobody has taken it over yet.

    Args:
        trial: As the storage has it.
        folder: The folder of the study.
        run: The name of the trial's run.
    """
    record = read_lease(trial.user_attrs)
    if record is not None:
        if is_surely_dead(record.owner):
            return True
        if record.owner.host == socket.gethostname() or is_locked(folder.run_lock(run)):
            return False
        return (folder.path / JOURNAL).is_file() and not _beats(folder)
    begun = trial.datetime_start
    age = time.time() - begun.timestamp() if begun is not None else 0.0
    return age > _STARTING_SECONDS and not is_at_work(folder, run)


def _beats(folder: StudyFolder) -> bool:
    """Returns whether the journal was written of late: every living worker writes its heartbeat there."""
    try:
        return time.time() - (folder.path / JOURNAL).stat().st_mtime < _QUIET_SECONDS
    except OSError:
        return False


def _is_held_elsewhere(folder: StudyFolder) -> bool:
    try:
        with (folder.path / HOLDER).open("rb") as file:
            holder = json.loads(file.read(10_000))
        return bool(holder["host"] != socket.gethostname())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
