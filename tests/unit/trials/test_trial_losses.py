"""A trial that kills whoever takes it ends, and one that only had bad luck does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from cobra_kit.trials import ERROR, TrialQueue, TrialSpec, open_storage, work
from cobra_kit.trials.failures import MAX_RETRIES
from cobra_kit.trials.lease import LEASE, LeaseRecord
from cobra_kit.trials.worker_id import this_process

POINTS = [TrialSpec("a"), TrialSpec("b")]


def board(folder: Path, url: str | None = None, **options: Any) -> TrialQueue:
    study = optuna.create_study(
        storage=open_storage(url, folder), study_name=folder.name, load_if_exists=True, sampler=None
    )
    return TrialQueue(study, folder, **options)


def states(one: TrialQueue) -> Counter[str]:
    return Counter(trial.state.name for trial in one.trials())


def lose(one: TrialQueue) -> None:
    """Takes a trial as a worker that dies at once."""
    held = one.take()
    assert held is not None
    held.lease.__exit__(None, None, None)
    gone = replace(this_process(), started=1)  # the process of that number began at another time: it is dead
    one.study._storage.set_trial_user_attr(held.trial._trial_id, LEASE, asdict(LeaseRecord(gone, 1, 9)))


def test_a_trial_that_kills_every_worker_fails_and_the_others_go_on(tmp_path: Path, url: str | None) -> None:
    one = board(tmp_path, url)
    one.provide(POINTS)
    for _ in range(MAX_RETRIES):
        lose(board(tmp_path, url))
    again = board(tmp_path, url)
    assert work(again, lambda held: [1.0]).completed == 1
    assert states(again) == {"FAIL": 1, "COMPLETE": 1}
    [failed] = [trial for trial in again.trials() if trial.state == TrialState.FAIL]
    assert failed.user_attrs[ERROR].startswith(
        f"{MAX_RETRIES} workers in a row were killed or went silent at the same place, the last one "
    )
    assert "Too little memory is the usual cause" in failed.user_attrs[ERROR]
    third = board(tmp_path, url)
    third.provide(POINTS)  # the next start tries it again, from no losses
    assert states(third) == {"FAIL": 1, "COMPLETE": 1, "WAITING": 1}
    lose(third)
    assert work(board(tmp_path, url), lambda held: [1.0]).completed == 1


def test_a_trial_that_gets_further_may_lose_any_number_of_workers(tmp_path: Path) -> None:
    lost = 0
    board(tmp_path).provide(POINTS[:1])
    for lost in range(2 * MAX_RETRIES):
        lose(board(tmp_path, progress_of=lambda name, steps=lost: steps))
    assert work(board(tmp_path, progress_of=lambda name: lost), lambda held: [1.0]).completed == 1
