"""A study's trials in Optuna's storage: recorded on first use, and held to be the trials of this very study."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobra_kit.errors import CobraError
from cobra_kit.events import Reporter, silent
from cobra_kit.files import file_digest, is_sealed
from cobra_kit.locks import locked
from cobra_kit.study.execution.open_folder import check_identity, note_facts
from cobra_kit.study.execution.trial_sources import Trials
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.reading.stored_files import JOURNAL_DIGEST, check_journal, read_study_manifest
from cobra_kit.study.trial_attributes import STUDY_NAME, TEXTS
from cobra_kit.trials import HeartbeatConfig, TrialQueue, open_storage, redact_url
from cobra_kit.trials.known_storages import remember_storage
from cobra_kit.trials.optuna_internals import storage_of, suppress_experimental_warnings
from cobra_kit.trials.queue import TRIALS_LOCK
from cobra_kit.trials.records import DATABASE_HINT, JOURNAL_HINT, check_records
from cobra_kit.trials.storage import JOURNAL

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

_IDENTITY = "cobra_kit:identity"
_FAILURE_HINT = (
    "Too little memory is the usual cause: fewer workers, or a smaller micro_batch_size. "
    "The next start of the study tries it again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options by which a study is worked on.

    Args:
        storage: URL of a database; None: a journal in the study's folder.
        fail_fast: Stop at the first trial that goes wrong.
        timeout: Seconds after which no further trial is begun.
        device: Where models are: `cpu`, `cuda`, or `auto`: a GPU where torch sees one.
        heartbeat: How long a silent worker is waited for.
    """

    storage: str | None = None
    fail_fast: bool = False
    timeout: float | None = None
    device: str = "cpu"
    heartbeat: HeartbeatConfig = field(default_factory=HeartbeatConfig)


def open_queue(
    trials: Trials,
    folder: StudyFolder,
    options: WorkerOptions,
    *,
    retry_failed: bool = True,
    report: Reporter = silent,
) -> TrialQueue:
    """Returns the study's trials, recorded on first use.

    Args:
        trials: The trials to record.
        folder: The study's folder.
        options: Name the storage that they are recorded in.
        retry_failed: Record those that failed anew, unless somebody is at work.
        report: Told that a database is waited for.

    Raises:
        CobraError: The storage cannot be reached, or holds another study under this name.
    """
    import optuna

    if options.storage is None:
        _check_journal(folder)
    storage = open_storage(options.storage, folder.path, report=report)
    name = trials.plan.name if options.storage else STUDY_NAME
    where = f"{redact_url(options.storage)}, study {name}" if options.storage else str(folder.path)
    with locked(folder.path / TRIALS_LOCK, lambda: None), suppress_experimental_warnings():
        _check(storage, name, where, trials)
        study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, directions=trials.directions, pruner=trials.pruner()
        )
        if _IDENTITY not in study.user_attrs:
            # Through JSON, as the storage gives it back: a tuple is a list there.
            study.set_user_attr(_IDENTITY, json.loads(json.dumps(trials.plan.identity())))
            study.set_metric_names(trials.metrics)
        hint = DATABASE_HINT if options.storage else JOURNAL_HINT
        check_records(study, where if options.storage else str(folder.path / JOURNAL), hint, TEXTS)
        note_facts(folder, storage=redact_url(options.storage) if options.storage else None)
        if options.storage:
            remember_storage(folder.path, options.storage)
    queue = TrialQueue(
        study,
        folder.path,
        options.heartbeat,
        sampler=trials.sampler,
        progress_of=partial(_lines_of, folder),
        failure_hint=_FAILURE_HINT,
    )
    queue.provide(trials.points(), retry_failed=retry_failed)
    return queue


def note_journal(folder: StudyFolder) -> None:
    """Notes what the journal holds now that the work is done, so that a part that is lost later is missed."""
    journal = folder.path / JOURNAL
    if journal.is_file() and is_sealed(_manifest(folder)):
        with locked(folder.path / TRIALS_LOCK, lambda: None):
            note_facts(folder, **{JOURNAL_DIGEST: asdict(file_digest(journal))})


def _check_journal(folder: StudyFolder) -> None:
    manifest = _manifest(folder)
    check_journal(folder.path, manifest)
    if manifest.get(JOURNAL_DIGEST) is not None and not (folder.path / JOURNAL).exists():
        note_facts(folder, **{JOURNAL_DIGEST: None})  # it is made again


def _manifest(folder: StudyFolder) -> dict[str, Any]:
    manifest = read_study_manifest(folder.path)
    assert manifest is not None  # open_study wrote it
    return manifest


def _lines_of(folder: StudyFolder, name: str) -> int:
    """Returns how much a run has written: steps and answers of its own, and of the stages that runs share."""
    files = [*(folder.path / "runs" / name).rglob("*.jsonl"), *folder.stages.rglob("*.jsonl")]
    return sum(_count_lines(file) for file in files)


def _count_lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n")
    except OSError:  # somebody makes or removes it at this moment
        return 0


def forget(trials: Trials, options: WorkerOptions, folder: Path) -> None:
    """Deletes a study from its database, if it is there; a journal is deleted with its folder."""
    import optuna

    if options.storage and (study := _known(open_storage(options.storage, folder), trials.plan.name)):
        optuna.delete_study(study_name=trials.plan.name, storage=storage_of(study))


def _check(storage: BaseStorage, name: str, where: str, trials: Trials) -> None:
    study = _known(storage, name)
    if study is None:
        return
    if (known := study.user_attrs.get(_IDENTITY)) is not None:
        check_identity(where, known, trials.plan.identity())
    if [direction.name.lower() for direction in study.directions] != trials.directions:
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
