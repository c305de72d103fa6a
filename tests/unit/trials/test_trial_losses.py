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
from cobra_kit.trials.optuna_internals import storage_of, trial_id_of
from cobra_kit.trials.worker_id import this_process

SPECS = [TrialSpec("a"), TrialSpec("b")]


def make_queue(folder: Path, url: str | None = None, **options: Any) -> TrialQueue:
    study = optuna.create_study(
        storage=open_storage(url, folder), study_name=folder.name, load_if_exists=True, sampler=None
    )
    return TrialQueue(study, folder, **options)


def states(queue: TrialQueue) -> Counter[str]:
    return Counter(trial.state.name for trial in queue.trials())


def lose(queue: TrialQueue) -> None:
    """Takes a trial as a worker that dies at once."""
    leased = queue.take()
    assert leased is not None
    leased.lease.__exit__(None, None, None)
    gone = replace(this_process(), started=1)  # the process of that number began at another time: it is dead
    storage_of(queue.study).set_trial_user_attr(trial_id_of(leased.trial), LEASE, asdict(LeaseRecord(gone, 1, 9)))


def test_a_trial_that_kills_every_worker_fails_and_the_others_go_on(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path, url)
    queue.provide(SPECS)
    for _ in range(MAX_RETRIES):
        lose(make_queue(tmp_path, url))
    again = make_queue(tmp_path, url)
    assert work(again, lambda leased: [1.0]).completed == 1
    assert states(again) == {"FAIL": 1, "COMPLETE": 1}
    [failed] = [trial for trial in again.trials() if trial.state == TrialState.FAIL]
    assert failed.user_attrs[ERROR].startswith(
        f"{MAX_RETRIES} workers in a row were killed or went silent at the same place, the last one "
    )
    assert "Too little memory is the usual cause" in failed.user_attrs[ERROR]
    third = make_queue(tmp_path, url)
    third.provide(SPECS)  # the next start tries it again, from no losses
    assert states(third) == {"FAIL": 1, "COMPLETE": 1, "WAITING": 1}
    lose(third)
    assert work(make_queue(tmp_path, url), lambda leased: [1.0]).completed == 1


def test_a_trial_that_gets_further_may_lose_any_number_of_workers(tmp_path: Path) -> None:
    lost = 0
    make_queue(tmp_path).provide(SPECS[:1])
    for lost in range(2 * MAX_RETRIES):
        lose(make_queue(tmp_path, progress_of=lambda name, steps=lost: steps))
    assert work(make_queue(tmp_path, progress_of=lambda name: lost), lambda leased: [1.0]).completed == 1
