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
_T = TypeVar("_T")
_PATIENCE = 60.0


def open_storage(url: str | None, folder: Path) -> BaseStorage:
    """Returns Optuna's storage for a study.

    Args:
        url: SQLAlchemy's URL of a database, such as `postgresql+psycopg://user@host/name`; None: a journal file in
            `folder`, which needs no server and works for many processes, on network file systems too.
        folder: The study's folder.

    Raises:
        CobraError: It cannot be opened.
    """
    import optuna
    from optuna.storages import JournalStorage, RDBStorage

    optuna.logging.set_verbosity(logging.WARNING)
    if url is None:
        from cobra_kit.study.trials.journal import journal_backend

        return JournalStorage(journal_backend(folder / JOURNAL))
    if url.startswith("sqlite"):
        raise CobraError(
            "SQLite is not kept by many workers at once",
            where=shown(url),
            hint="Leave --storage out: the journal in the study's folder needs nothing. Or give a PostgreSQL URL.",
        )
    try:
        return patiently(lambda: RDBStorage(url, engine_kwargs={"pool_pre_ping": True}), shown(url))
    except ImportError as error:
        raise CobraError(
            f"the driver of this database is not installed: {error}",
            where=shown(url),
            hint='pip install "cobra-kit[postgres]", and begin the URL with postgresql+psycopg://',
        ) from error


def shown(url: str) -> str:
    """Returns a URL without its password."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:***@", url)


def patiently(action: Callable[[], _T], where: str, patience: float = _PATIENCE) -> _T:
    """Returns what `action` returns, trying again while the database cannot be reached.

    Args:
        action: Called at least once.
        where: For the error.
        patience: Seconds until it is given up.

    Raises:
        CobraError: It could not be reached in that time.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError

    started, wait = time.monotonic(), 0.1
    while True:
        try:
            return action()
        except (DBAPIError, StorageInternalError) as error:
            if time.monotonic() - started > patience:
                cause = str(error.__cause__ or error).strip().splitlines()[0]
                raise CobraError(
                    f"the storage cannot be reached: {cause}",
                    where=where,
                    hint="Finished work is kept. Give the same command again when it is back.",
                ) from error
        time.sleep(wait)
        wait = min(2 * wait, 5.0)
