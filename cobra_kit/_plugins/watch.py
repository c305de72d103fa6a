"""Says what is waited for, where a plugin's code takes long: one that hangs must not look like a program that does."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

IMPORT_SECONDS = 3.0
"""How long an import may take without a word."""

CALL_SECONDS = 4.0
"""How long a call into a component, or a diagnostic, may take without a word; it is named once in a process."""

_POLL_SECONDS = 0.25
_BLOCKED_SECONDS = 1.0
"""How much later than a word of ours Python itself tells, where the plugin lets no other thread run."""


@dataclass(slots=True)
class _Waiting:
    """A call that is waited for.

    Args:
        what: Puts it into words; called in another thread, and only where it takes long.
        limit: Seconds without a word.
        since: When the wait began, as `time.monotonic()` tells it.
        hint: What the user can do about it.
        armed: Whether Python's own watchdog waits for it, too.
        told: Whether the wait was reported already.
    """

    what: Callable[[], str]
    limit: float
    since: float
    hint: str = ""
    armed: bool = False
    told: bool = False


_waiting: dict[int, _Waiting] = {}
_told: set[str] = set()
_watcher: list[threading.Thread] = []


def begin(what: Callable[[], str], limit: float = CALL_SECONDS, hint: str = "", *, armed: bool = False) -> int:
    """Notes that something begins; returns the number to give to `end`.

    Args:
        what: Puts it into words: `projector 'a/b' (c 1.0): B.forward`.
        limit: Seconds after which it is named on stderr.
        hint: What helps, said with it.
        armed: Whether Python's own watchdog waits for it, too; it is called off where we can tell.
    """
    waiting = _Waiting(what, limit, time.monotonic(), hint, armed)
    number = id(waiting)
    _waiting[number] = waiting
    if not _watcher or not _watcher[0].is_alive():  # the first call, or the child of a fork
        _watcher[:] = [threading.Thread(target=_watch, name="cobra-kit-plugin-watch", daemon=True)]
        with contextlib.suppress(RuntimeError):  # no more threads, or the interpreter is about to end
            _watcher[0].start()
    return number


def end(number: int) -> None:
    """Notes that what `begin` noted is over."""
    _waiting.pop(number, None)


@contextlib.contextmanager
def watched_import(what: str, hint: str) -> Iterator[None]:
    """Names an import on stderr once it takes long, also one that lets no other thread of Python run."""
    armed = _arm(IMPORT_SECONDS + _BLOCKED_SECONDS)
    number = begin(lambda: what, IMPORT_SECONDS, hint, armed=armed)
    try:
        yield
    finally:
        if armed:
            faulthandler.cancel_dump_traceback_later()
        end(number)


def say(text: str) -> None:
    """Writes a line to stderr; no news is no reason to fail."""
    if os.environ.get("RANK", "0") == "0":  # once, not per rank, where torchrun started this process
        with contextlib.suppress(Exception):
            print(text, file=sys.stderr, flush=True)


def _watch() -> None:
    while True:
        time.sleep(_POLL_SECONDS)
        for waiting in list(_waiting.values()):
            took = time.monotonic() - waiting.since
            if not waiting.told and took > waiting.limit:
                waiting.told = True
                if waiting.armed:
                    faulthandler.cancel_dump_traceback_later()  # we could run, so Python need not tell
                with contextlib.suppress(Exception):
                    _tell(waiting, took)


def _tell(waiting: _Waiting, took: float) -> None:
    what = waiting.what()
    if what not in _told:
        _told.add(what)
        say(f"waiting for {what}, for {took:.0f} s so far{f' ({waiting.hint})' if waiting.hint else ''}")


def _arm(seconds: float) -> bool:
    """Lets Python tell which line runs, from a thread that needs no lock of Python's."""
    try:
        faulthandler.dump_traceback_later(seconds, file=2)
    except (OSError, ValueError, RuntimeError):
        return False
    return True
