"""The storage of a study's trials: a journal in its folder, or a database by URL."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cobra_kit.events import Reporter, silent
from cobra_kit.trials.storage_error import StorageError
from cobra_kit.trials.storage_url import FORM, parse_url, redact_text, redact_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL: Final = "trials.journal"


def open_storage(url: str | None, folder: Path, *, reading: bool = False, report: Reporter = silent) -> BaseStorage:
    """Returns Optuna's storage for a study.

    Args:
        url: SQLAlchemy's URL of a database, such as `postgresql+psycopg://user@host/name`; None: a journal file in
            `folder`, which needs no server and works for many processes, on network file systems too.
        folder: The study's folder.
        reading: Only look: nothing is made in a database, and it is waited for some seconds only.
        report: Told that a database is waited for.

    Raises:
        StorageError: The storage cannot be opened.
    """
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    if url is None:
        from cobra_kit.trials.journal import journal_storage

        return journal_storage(folder / JOURNAL)
    if url.startswith("sqlite"):
        raise StorageError(
            "SQLite is not kept by many workers at once",
            where=redact_url(url),
            hint="Leave --storage out: the journal in the study's folder needs nothing. Or give a PostgreSQL URL.",
        )
    parse_url(url)
    try:
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        # Here and not above: without --storage nobody pays for SQLAlchemy.
        from cobra_kit.trials.database import open_database

        return open_database(url, reading=reading, report=report)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(
            f"no URL of a database: {redact_text(str(error), url)}", where=redact_url(url), hint=f"Such as {FORM}."
        ) from None
    except ImportError as error:
        raise StorageError(
            f"the driver of this database is not installed: {redact_text(str(error), url)}",
            where=redact_url(url),
            hint='pip install "cobra-kit[postgres]", and begin the URL with postgresql+psycopg://',
        ) from error
