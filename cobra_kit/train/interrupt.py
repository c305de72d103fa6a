"""Ctrl-C between two steps instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether somebody asked the process to stop, and how."""

    number: int | None = None

    def requested(self) -> bool:
        """Returns whether to stop at the next opportunity."""
        return self.number is not None


@contextmanager
def postponed_interrupts() -> Iterator[Interrupt]:
    """Notes Ctrl-C and SIGTERM for the length of a block, and lets them act after it.

    A second one acts at once. In a thread other than the main one signals are nobody's business, and nothing is noted.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.number = number
        _restore(before)

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        _restore(before)
    if interrupt.number is not None:
        signal.raise_signal(interrupt.number)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
