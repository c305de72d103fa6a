"""The one engine behind `run` and `sweep`: a study's trials in Optuna's storage, and a worker that does them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter
from cobra_kit.locks import locked
from cobra_kit.study.execution.trial_sources import TrialSource, guarded
from cobra_kit.study.folder import StudyFolder, check_identity
from cobra_kit.trials import HeartbeatConfig, LeasedTrial, Outcome, TrialQueue, open_storage, redact_url, work
from cobra_kit.trials.optuna_internals import storage_of, suppress_experimental_warnings
from cobra_kit.trials.queue import TRIALS_LOCK

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

    from cobra_kit.study.execution.study_cache import StudyCache
    from cobra_kit.train import TrainIntervals

STUDY_NAME = "cobra-kit"
"""Of the one study in a folder's journal; in a database a study has its folder's name."""
_IDENTITY = "cobra_kit:identity"
_FAILURE_HINT = (
    "Too little memory is the usual cause: fewer workers, or a smaller micro_batch_size. "
    "The next start of the study tries it again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a study is worked on.

    Args:
        storage: URL of a database; None: a journal in the study's folder.
        fail_fast: Stop at the first trial that goes wrong.
        timeout: Seconds after which no further trial is begun.
        device: Where models are: `cpu` or `cuda`.
        terms: How long a silent worker is waited for.
    """

    storage: str | None = None
    fail_fast: bool = False
    timeout: float | None = None
    device: str = "cpu"
    terms: HeartbeatConfig = field(default_factory=HeartbeatConfig)


def open_queue(kind: TrialSource, folder: StudyFolder, crew: WorkerOptions, *, retry_failed: bool = True) -> TrialQueue:
    """Returns the study's trials, recorded on first use.

    Args:
        kind: What they are.
        folder: The study's folder.
        crew: Where they are recorded.
        retry_failed: Record those that failed anew, unless somebody is at work.

    Raises:
        CobraError: The storage cannot be reached, or holds another study under this name.
    """
    import optuna

    storage = open_storage(crew.storage, folder.path)
    name = kind.plan.name if crew.storage else STUDY_NAME
    where = f"{redact_url(crew.storage)}, study {name}" if crew.storage else str(folder.path)
    with locked(folder.path / TRIALS_LOCK, lambda: None), suppress_experimental_warnings():
        _check(storage, name, where, kind)
        study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, directions=kind.directions, pruner=kind.pruner()
        )
        if _IDENTITY not in study.user_attrs:
            study.set_user_attr(_IDENTITY, json.loads(json.dumps(kind.plan.identity())))
            study.set_metric_names(kind.metrics)
        folder.note(storage=redact_url(crew.storage) if crew.storage else None)
    board = TrialQueue(
        study,
        folder.path,
        crew.terms,
        sampler=kind.sampler,
        progress_of=partial(_lines_of, folder),
        failure_hint=_FAILURE_HINT,
    )
    board.provide(kind.points(), retry_failed=retry_failed)
    return board


def _lines_of(folder: StudyFolder, name: str) -> int:
    """Returns how much a run has written: steps and answers of its own, and of the stages that runs share."""
    files = [*(folder.path / "runs" / name).rglob("*.jsonl"), *folder.stages.rglob("*.jsonl")]
    return sum(_count_lines(file) for file in files)


def _count_lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n")
    except OSError:  # somebody makes or removes it at this moment
        return 0


def forget(kind: TrialSource, crew: WorkerOptions, folder: Path) -> None:
    """Deletes a study from its database, if it is there; a journal is deleted with its folder."""
    import optuna

    if crew.storage and (found := _known(open_storage(crew.storage, folder), kind.plan.name)):
        optuna.delete_study(study_name=kind.plan.name, storage=storage_of(found))


def _check(storage: BaseStorage, name: str, where: str, kind: TrialSource) -> None:
    study = _known(storage, name)
    if study is None:
        return
    if (known := study.user_attrs.get(_IDENTITY)) is not None:
        check_identity(where, known, kind.plan.identity())
    if [one.name.lower() for one in study.directions] != kind.directions:
        raise CobraError(
            "the storage has a study of this name that seeks something else",
            where=where,
            hint="Give this one another database with --storage.",
        )


def _known(storage: BaseStorage, name: str) -> Study | None:
    import optuna

    try:
        return optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())
    except KeyError:
        return None


def work_through(
    kind: TrialSource,
    board: TrialQueue,
    folder: StudyFolder,
    shared: StudyCache,
    crew: WorkerOptions,
    report: Reporter,
    pace: TrainIntervals | None = None,
) -> Outcome:
    """Does a study's trials until all have ended, together with whoever else works on them.

    Raises:
        KeyboardInterrupt: Ctrl-C; what is done is kept.
        CobraError: `crew.fail_fast`, or the storage cannot be reached.
    """

    def objective(held: LeasedTrial) -> Sequence[float]:
        def waiting() -> None:
            report(Message(text=f"{held.name}: waiting until its earlier worker has stopped"))

        place = folder.path / "runs" / held.name
        with locked(_lock(place), waiting), suppress_experimental_warnings():
            return kind.run(held, folder, shared, guarded(held, report), pace)

    deadline = None if crew.timeout is None else time.monotonic() + crew.timeout
    return work(board, objective, report=report, fail_fast=crew.fail_fast, deadline=deadline)


def _lock(place: Path) -> Path:
    """Two processes never work in one run's folder, not even for the moment until the slower one notices."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(f".{place.name}.lock")
