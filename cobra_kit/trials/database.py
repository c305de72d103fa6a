"""Optuna's storage in a database that may be away for a while: every call is tried again until it is back.

A call whose answer was lost may have been carried out. That does no harm: a trial recorded twice counts once, and one
that was taken or ended without our knowing is settled by its lease.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, ProgrammingError

from cobra_kit.trials.optuna_internals import CACHED_METHODS
from cobra_kit.trials.storage_error import StorageError, redact_url

PATIENCE: Final = 60.0
"""Seconds for which a database that cannot be reached is tried again."""
_HOPELESS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted")
_MADE_BY_ANOTHER = ("already exists", "duplicate key")
_TRIES = 6
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_T = TypeVar("_T")


class PatientDatabase(RDBStorage):
    """Trials in a database; raises `StorageError` only after it was away for long."""


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def ask(self: PatientDatabase, *args: Any, **kwargs: Any) -> Any:
        return patiently(lambda: method(self, *args, **kwargs), redact_url(self.url))

    return ask


# Each method by itself, not `__getattr__` in front of the storage: Optuna wraps an `RDBStorage` in its cache only where
# it is one.
for _name in [
    *(name for name in vars(BaseStorage) if name.startswith(("get_", "set_", "create_", "delete_"))),
    *CACHED_METHODS,
]:
    setattr(PatientDatabase, _name, _patient(getattr(RDBStorage, _name)))


def open_database(url: str) -> PatientDatabase:
    """Returns the storage in a database, whose tables are made on first use.

    Raises:
        StorageError: It cannot be reached, or refuses.
    """
    return patiently(lambda: _connected(url), redact_url(url))


def _connected(url: str) -> PatientDatabase:
    """Returns the storage. Of several that find an empty database at once, one makes the tables; the others try again.

    Optuna looks for its tables and then makes them, so that between the two another may have made them.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            return PatientDatabase(url, engine_kwargs={"pool_pre_ping": True})
        except (IntegrityError, ProgrammingError) as error:
            if not tries_left or not any(text in str(error) for text in _MADE_BY_ANOTHER):
                raise
        time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def patiently(action: Callable[[], _T], where: str) -> _T:
    """Returns what `action` returns, trying again while the database cannot be reached.

    Args:
        action: Called at least once.
        where: For the error.

    Raises:
        StorageError: It could not be reached for `PATIENCE` seconds, or refuses.
    """
    started, wait = time.monotonic(), _FIRST_WAIT
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError, StorageInternalError) as error:
            cause = _cause(error)
            if time.monotonic() - started > PATIENCE or any(text in cause for text in _HOPELESS):
                raise StorageError(
                    f"the storage cannot be reached: {cause}",
                    where=where,
                    hint="Finished work is kept. Give the same command again when it is back.",
                ) from error
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def _cause(error: BaseException) -> str:
    """Returns the driver's own first line: Optuna and SQLAlchemy wrap it in theirs."""
    while (deeper := getattr(error, "orig", None) or error.__cause__) is not None:
        error = deeper
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
