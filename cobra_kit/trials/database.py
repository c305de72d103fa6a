"""Optuna's storage in a database that may be away for a while: every call is tried again until it is back.

A call whose answer was lost may have been carried out. That does no harm: a trial recorded twice counts once, and one
that was taken or ended without our knowing is settled by its lease.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from optuna.storages import BaseStorage, RDBStorage

from cobra_kit.trials.storage import patiently, shown

# What Optuna's cache in front of the database calls, beside the storage's public methods.
_OF_THE_CACHE = ("_create_new_trial", "_set_trial_param", "_get_best_trial_id", "_get_trials")


class PatientDatabase(RDBStorage):
    """Trials in a database; raises `StorageError` only after it was away for long."""


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def ask(self: PatientDatabase, *args: Any, **kwargs: Any) -> Any:
        return patiently(lambda: method(self, *args, **kwargs), shown(self.url))

    return ask


for _name in [
    *(name for name in vars(BaseStorage) if name.startswith(("get_", "set_", "create_", "delete_"))),
    *_OF_THE_CACHE,
]:
    setattr(PatientDatabase, _name, _patient(getattr(RDBStorage, _name)))
