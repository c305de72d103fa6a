"""The records of a storage on a study's trials, checked once when it is opened: whoever reads on relies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cobra_kit.trials.failures import FAILURES, read_failures
from cobra_kit.trials.lease import LEASE, read_lease
from cobra_kit.trials.storage_error import StorageError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

JOURNAL_HINT: Final = (
    "Delete it and give the command of the study again: trials that are finished are found in their folders, and not "
    "run again."
)
"""What to do about a damaged journal; every trial has its name, and a finished one all its files."""
DATABASE_HINT: Final = "Give the study another database with --storage; finished trials are found in their folders."


def check_records(study: Study, where: str, hint: str, texts: tuple[str, ...]) -> None:
    """Checks that every trial has what its state asks for, and that what we keep with it is ours.

    Args:
        study: The study whose trials are checked.
        where: The file or database, for the error.
        hint: What to do about a damaged one.
        texts: The attributes that are texts where they are there.

    Raises:
        StorageError: Something is not as anybody would have written it.
    """
    wanted = len(study.directions)
    names = study.metric_names
    if names is not None and (not _are_texts(names) or len(names) != wanted):
        raise StorageError("damaged: the names of the metrics do not fit the study", where=where, hint=hint)
    for trial in study.get_trials(deepcopy=False):
        if reason := _problem(trial, wanted, texts):
            raise StorageError(f"damaged: trial {trial.number}: {reason}", where=where, hint=hint)


def _problem(trial: FrozenTrial, wanted: int, texts: tuple[str, ...]) -> str | None:
    if trial.state.name == "COMPLETE" and (trial.values is None or len(trial.values) != wanted):
        return f"it is complete and has {len(trial.values or ())} of {wanted} values"
    attributes = trial.user_attrs
    for key in texts:
        if key in attributes and not isinstance(attributes[key], str):
            return f"{key} is no text"
    if LEASE in attributes and not _is_lease(attributes):
        return "its lease is none"
    if FAILURES in attributes and not _are_failures(attributes):
        return "what it lost is no number"
    return None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_lease(attributes: dict[str, Any]) -> bool:
    try:
        # Its keys become arguments of `WorkerId`, so missing and unknown ones show as a TypeError.
        record = read_lease(attributes)
    except (TypeError, KeyError):
        return False
    if record is None:
        return False
    owner = record.owner
    texts, numbers = (owner.host, owner.boot, owner.token), (owner.pid, owner.started, record.epoch, record.beat)
    return all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)


def _are_failures(attributes: dict[str, Any]) -> bool:
    try:
        failures = read_failures(attributes)
    except TypeError:
        return False
    return isinstance(failures.in_a_row, int) and isinstance(failures.furthest, int)
