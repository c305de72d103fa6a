"""Everything we use of Optuna that its documentation does not promise, so that one place is read again at an upgrade.

It was read in the version that `READ_IN` names; a test fails on another one and says what to look at.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cobra_kit.errors import CobraError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.storages.journal import BaseJournalBackend
    from optuna.trial import FrozenTrial

READ_IN: Final = "5.0"
"""Optuna's major and minor version in which the names below were read."""

CACHED_METHODS: Final = ("_create_new_trial", "_set_trial_param", "_get_best_trial_id", "_get_trials")
"""Private methods of `RDBStorage` that Optuna's cache in front of a database calls, beside the public ones."""


def storage_of(study: Study) -> BaseStorage:
    """Returns the storage of a study, with Optuna's cache in front of it."""
    return study._storage


def trial_id_of(trial: FrozenTrial | Trial) -> int:
    """Returns a trial's number in its storage, which a database counts over all studies."""
    return trial._trial_id


def begun_trial(study: Study, trial_id: int) -> Trial:
    """Returns a trial that is recorded already, to suggest from and report to; `study.ask` would record a new one."""
    import optuna

    return optuna.Trial(study, trial_id)


def recorded_trial(trial: Trial) -> FrozenTrial:
    """Returns a trial as its storage has it, with what an earlier worker reported."""
    return trial.storage.get_trial(trial._trial_id)


def fixed_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the system attributes with which a trial's `suggest_*` return given values, as `enqueue_trial` does.

    Not `enqueue_trial`: it gives a trial without given values the attribute too, and Optuna's grid passes such a trial
    over.
    """
    return {"fixed_params": dict(params)} if params else {}


def is_ended_elsewhere(error: ValueError) -> bool:
    """Returns whether `study.tell` refused because of the trial's state; a value that is no number is refused, too."""
    return "Cannot tell" in str(error)


def journal_lines(logs: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Returns entries of a journal as Optuna's file backend writes them, one per line, without the line ends.

    It passes over keys that it does not know.
    """
    return [json.dumps(log, separators=(",", ":")).encode() for log in logs]


def checked_journal(backend: BaseJournalBackend, damaged: Callable[[Exception], Exception]) -> JournalStorage:
    """Returns Optuna's storage over a journal, with one error for entries that it cannot replay.

    What an entry of this very process raises is an answer, such as that a trial has ended already, and is raised as it
    is.

    Args:
        backend: The journal; its `last_worker` names whose entry was handed out last.
        damaged: Makes the error from what Optuna raised.
    """
    from optuna.storages import JournalStorage

    class CheckedJournal(JournalStorage):
        _broken: Exception | None = None

        def _sync_with_backend(self) -> None:
            if self._broken is not None:  # Optuna would go on behind the entry
                raise self._broken
            try:
                super()._sync_with_backend()
            except CobraError:
                raise
            except Exception as error:
                if getattr(backend, "last_worker", None) == self._replay_result.worker_id:
                    raise
                self._broken = damaged(error)
                raise self._broken from error

    return CheckedJournal(backend)


@contextmanager
def suppress_experimental_warnings() -> Iterator[None]:
    """Keeps Optuna from warning that something is experimental, for the length of a block."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
