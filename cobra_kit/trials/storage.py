"""Where the trials of a study are recorded: a journal in its folder, or a database by URL."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from cobra_kit.errors import CobraError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL: Final = "trials.journal"
HIDDEN: Final = "***"
"""What stands for a password."""
_T = TypeVar("_T")
PATIENCE: Final = 60.0
"""Seconds for which a database that cannot be reached is tried again."""
_HOPELESS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted")


class StorageError(CobraError):
    """Trials can be neither read nor recorded; no trial is to blame."""


def open_storage(url: str | None, folder: Path) -> BaseStorage:
    """Returns Optuna's storage for a study.

    Args:
        url: SQLAlchemy's URL of a database, such as `postgresql+psycopg://user@host/name`; None: a journal file in
            `folder`, which needs no server and works for many processes, on network file systems too.
        folder: The study's folder.

    Raises:
        StorageError: It cannot be opened.
    """
    import optuna
    from optuna.storages import JournalStorage

    optuna.logging.set_verbosity(logging.WARNING)
    if url is None:
        from cobra_kit.trials.journal import journal_backend

        return JournalStorage(journal_backend(folder / JOURNAL))
    if url.startswith("sqlite"):
        raise StorageError(
            "SQLite is not kept by many workers at once",
            where=shown(url),
            hint="Leave --storage out: the journal in the study's folder needs nothing. Or give a PostgreSQL URL.",
        )
    try:
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        from cobra_kit.trials.database import PatientDatabase

        return patiently(lambda: _connected(PatientDatabase, url), shown(url))
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            f"no URL of a database: {error}", where=shown(url), hint="Such as postgresql+psycopg://USER@HOST/NAME."
        ) from error
    except ImportError as error:
        raise StorageError(
            f"the driver of this database is not installed: {error}",
            where=shown(url),
            hint='pip install "cobra-kit[postgres]", and begin the URL with postgresql+psycopg://',
        ) from error


def _connected(kind: Callable[..., BaseStorage], url: str, tries: int = 5) -> BaseStorage:
    """Returns the storage. Of several that find an empty database at once, one makes the tables; the others look again.

    Optuna looks for its tables and then makes them, so that between the two another may have made them.
    """
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    try:
        return kind(url, engine_kwargs={"pool_pre_ping": True})
    except (IntegrityError, ProgrammingError) as error:
        if not tries or not any(words in str(error) for words in ("already exists", "duplicate key")):
            raise
    time.sleep(0.2)
    return _connected(kind, url, tries - 1)


def shown(url: str) -> str:
    """Returns a URL without its password."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", rf"\1:{HIDDEN}@", url)


def patiently(action: Callable[[], _T], where: str) -> _T:
    """Returns what `action` returns, trying again while the database cannot be reached.

    Args:
        action: Called at least once.
        where: For the error.

    Raises:
        StorageError: It could not be reached for `PATIENCE` seconds, or refuses.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import InterfaceError, OperationalError

    started, wait = time.monotonic(), 0.1
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError, StorageInternalError) as error:
            cause = _cause(error)
            if time.monotonic() - started > PATIENCE or any(words in cause for words in _HOPELESS):
                raise StorageError(
                    f"the storage cannot be reached: {cause}",
                    where=where,
                    hint="Finished work is kept. Give the same command again when it is back.",
                ) from error
        time.sleep(wait)
        wait = min(2 * wait, 5.0)


def _cause(error: Exception) -> str:
    """Returns the driver's own first line."""
    found: BaseException = error
    while (deeper := getattr(found, "orig", None) or found.__cause__) is not None:
        found = deeper
    lines = [line for line in str(found).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(found).__name__
