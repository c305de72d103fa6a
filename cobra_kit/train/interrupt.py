"""Ctrl-C, SIGTERM and SIGHUP between two steps instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from cobra_kit.processes import ECHO_SECONDS, ENDED_BY

_SIGNALS = (signal.SIGINT, *ENDED_BY)


class Interrupt:
    """A note of whether somebody asked the process to stop, and how."""

    number: int | None = None

    def requested(self) -> bool:
        """Returns whether to stop at the next opportunity."""
        return self.number is not None


@contextmanager
def postponed_interrupts() -> Iterator[Interrupt]:
    """Notes Ctrl-C, SIGTERM and SIGHUP for the length of a block, and lets them act after it.

    A second Ctrl-C acts at once, another signal after two seconds: terminals and supervisors send theirs twice. One
    that is ignored (`nohup`) stays ignored. In a thread other than the main one signals are nobody's business, and
    nothing is noted.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
    first = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if interrupt.number is None:
            interrupt.number, first = number, time.monotonic()
        elif number == signal.SIGINT or time.monotonic() - first >= ECHO_SECONDS:
            # The old handlers first: the signal that is raised then is theirs, and so is every later one.
            _restore(before)
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        _restore(before)
    # Not within `finally`: where the block raised, its error is the news. Else the signal comes as if it were sent now.
    if interrupt.number is not None:
        signal.raise_signal(interrupt.number)


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        # Python says None of a handler that was not set from Python, and cannot set such a one again.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
