"""Optuna's storage in a database that may be away for a while: every call is tried again until it is back.

A call whose answer was lost may have been carried out. That does no harm: a trial recorded twice counts once, and one
that was taken or ended without our knowing is settled by its lease.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from cobra_kit.events import Message, Reporter, silent
from cobra_kit.trials.optuna_internals import CACHED_METHODS
from cobra_kit.trials.storage_error import StorageError
from cobra_kit.trials.storage_url import parse_url, redact_text, redact_url

PATIENCE: Final = 60.0
"""Seconds for which a database that cannot be reached is tried again."""
READING_PATIENCE: Final = 10.0
"""The same for a look at a study, which somebody waits for."""
_WORD_SECONDS = 3.0
"""Of silence, after which it is said what is waited for."""
_CONNECT_SECONDS = 10
"""For one try, for the drivers that can be told."""
_DRIVERS_WITH_TIMEOUT = {"psycopg", "psycopg2", "psycopg_async", "pymysql", "mysqldb"}
_HOPELESS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "not permitted",
    "permission denied",
    "invalid connection option",
    "invalid port number",
)
_NOT_MADE = ("does not exist", "no such table", "doesn't exist")
_MADE_BY_ANOTHER = ("already exists", "duplicate key")
_LONGEST_CAUSE = 400
_TRIES = 6
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """The time that a database is waited for, and who is told.

    Args:
        url: The database's, with its password; it is never shown.
        seconds: For which it is tried again.
        report: Told once that it is waited for.
        reading: Whether it is only looked at.
    """

    url: str
    seconds: float
    report: Reporter = silent
    reading: bool = False

    def tell(self, cause: str = "it does not answer") -> None:
        """Says that the database is waited for."""
        text = f"{redact_url(self.url)}: {cause}; waiting for up to {self.seconds:.0f} s"
        self.report(Message(text=text, level="warning"))


class PatientDatabase(RDBStorage):
    """Trials in a database; raises `StorageError` only after it was away for long.

    Args:
        waiting: Where it is, and how long it is waited for. One that is only read gets no tables where it has none.
    """

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        engine: dict[str, Any] = {"pool_pre_ping": True}
        parsed = parse_url(waiting.url)
        if parsed.get_driver_name() in _DRIVERS_WITH_TIMEOUT and "connect_timeout" not in parsed.query:
            engine["connect_args"] = {"connect_timeout": max(2, min(_CONNECT_SECONDS, round(waiting.seconds)))}
        super().__init__(waiting.url, engine_kwargs=engine, skip_table_creation=waiting.reading)


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def ask(self: PatientDatabase, *args: Any, **kwargs: Any) -> Any:
        def act() -> Any:
            return patiently(lambda: method(self, *args, **kwargs), self.waiting)

        # Who only looks waits for the answer to be read; a worker has its lease, which runs out.
        return _within(replace(self.waiting, seconds=PATIENCE), act) if self.waiting.reading else act()

    return ask


# Each method by itself, not `__getattr__` in front of the storage: Optuna wraps an `RDBStorage` in its cache only where
# it is one.
for _name in [
    *(name for name in vars(BaseStorage) if name.startswith(("get_", "set_", "create_", "delete_"))),
    *CACHED_METHODS,
]:
    setattr(PatientDatabase, _name, _patient(getattr(RDBStorage, _name)))


def open_database(url: str, *, reading: bool = False, report: Reporter = silent) -> PatientDatabase:
    """Returns the storage in a database, whose tables are made on first use.

    Args:
        url: URL of the database.
        reading: Only look: nothing is made there, and it is waited for some seconds only.
        report: Told that it is waited for.

    Raises:
        StorageError: It cannot be reached, refuses, or is no database for trials.
    """
    dialect = parse_url(url).get_dialect()
    if hasattr(dialect, "import_dbapi"):  # not of older drivers; SQLAlchemy imports those itself
        dialect.import_dbapi()  # here, so that a slow disk is not taken for a slow server
    waiting = Waiting(url, READING_PATIENCE if reading else PATIENCE, report, reading)
    quiet = replace(waiting, report=silent)  # `_within` tells already
    try:
        return _within(waiting, lambda: patiently(lambda: _connected(waiting), quiet))
    except (ArgumentError, NoSuchModuleError):
        raise
    except (SQLAlchemyError, RuntimeError, AssertionError) as error:  # tables of something else, or of another Optuna
        raise _refusal(waiting, _cause(error, url)) from _shown(error, url)


def _refusal(waiting: Waiting, cause: str) -> StorageError:
    where = redact_url(waiting.url)
    if waiting.reading and any(text in cause for text in _NOT_MADE):
        return StorageError(
            f"the database holds no trials ({cause})", where=where, hint="Give the URL that the sweep was given."
        )
    return StorageError(
        f"the database cannot keep trials: {cause}",
        where=where,
        hint="Give one whose tables are Optuna's, or an empty one in which this user may make tables.",
    )


def _within(waiting: Waiting, action: Callable[[], _T]) -> _T:
    """Returns what `action` returns; says that it takes long, and gives up on a server that never answers.

    Drivers wait for ever on a server that takes the connection and then says nothing, so that somebody else must watch.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def act() -> None:
        try:
            results.append(action())
        except BaseException as error:  # raised again below, in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=act, name="storage", daemon=True)
    thread.start()
    thread.join(min(_WORD_SECONDS, waiting.seconds))
    if thread.is_alive():
        waiting.tell()
        thread.join(waiting.seconds + 1)  # a try that is under way may still say what is wrong
    if errors:
        raise errors[0]
    if not results:
        raise _out_of_reach(waiting, f"no answer within {waiting.seconds:.0f} s")
    return results[0]


def _connected(waiting: Waiting) -> PatientDatabase:
    """Returns the storage. Of several that find an empty database at once, one makes the tables; the others try again.

    Optuna looks for its tables and then makes them, so that between the two another may have made them.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            return PatientDatabase(waiting)
        except (IntegrityError, ProgrammingError) as error:
            if not tries_left or not any(text in str(error) for text in _MADE_BY_ANOTHER):
                raise
        time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def patiently(action: Callable[[], _T], waiting: Waiting) -> _T:
    """Returns what `action` returns, trying again while the database cannot be reached.

    Args:
        action: Called at least once.
        waiting: For how long, and who is told.

    Raises:
        StorageError: It could not be reached for that long, or refuses.
    """
    started, wait, told = time.monotonic(), _FIRST_WAIT, False
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError, StorageInternalError) as error:
            cause, passed = _cause(error, waiting.url), time.monotonic() - started
            if any(isinstance(link, ProgrammingError) for link in _chain(error)):  # no table, or no right to it
                raise _refusal(waiting, cause) from _shown(error, waiting.url)
            if passed > waiting.seconds or any(text in cause for text in _HOPELESS):
                raise _out_of_reach(waiting, cause) from _shown(error, waiting.url)
            if not told and passed > _WORD_SECONDS:
                told = True
                waiting.tell(cause)
        time.sleep(min(wait, max(0.0, waiting.seconds - (time.monotonic() - started)) + 0.05))
        wait = min(2 * wait, _LONGEST_WAIT)


def _out_of_reach(waiting: Waiting, cause: str) -> StorageError:
    return StorageError(
        f"the storage cannot be reached: {cause}",
        where=redact_url(waiting.url),
        hint="Finished work is kept. Give the same command again when it is back.",
    )


def _cause(error: BaseException, url: str) -> str:
    """Returns the driver's own first line, since Optuna and SQLAlchemy wrap it in theirs, without what `url` hides."""
    error = list(_chain(error))[-1]
    lines = [line for line in str(error).splitlines() if line.strip()]
    # A server chooses its words, and may be anybody's.
    text = "".join(sign if sign.isprintable() else " " for sign in lines[0].strip()[:_LONGEST_CAUSE]) if lines else ""
    return redact_text(text, url) or type(error).__name__


def _shown(error: BaseException, url: str) -> BaseException | None:
    """Returns an error to raise another one from, for the traceback of --debug; None where it tells a secret."""
    texts = [str(link) for link in _chain(error)]
    return error if all(redact_text(text, url) == text for text in texts) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    deeper: BaseException | None = error
    while deeper is not None:
        yield deeper
        deeper = getattr(deeper, "orig", None) or deeper.__cause__
