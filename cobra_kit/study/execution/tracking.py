"""Tells trackers about every event of a study. Whatever a tracker does, the runs go on and their numbers stay."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit._plugins import Extension, call_component, own_randomness
from cobra_kit._plugins.words import one_line
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message, Reporter
from cobra_kit.study.plan.chosen_trackers import ChosenTracker

if TYPE_CHECKING:
    from cobra_kit.interfaces import Tracker

CLOSE_SECONDS = 10.0
"""How long a tracker may take to end; then the study ends without it."""


@dataclass(slots=True)
class _Told:
    """A tracker at work.

    Args:
        extension: What it was declared as.
        tracker: The tracker itself.
        events: How many events it was told.
        missed: How many it was not told since it failed.
        failed: Whether it is left out.
    """

    extension: Extension
    tracker: Tracker
    events: int = 0
    missed: int = 0
    failed: bool = False


@dataclass(slots=True)
class Trackers:
    """One reporter before another: it tells the trackers, then whoever was told before.

    A tracker that raises is named once, and left out from then on. What it draws from or seeds of the generators of
    random numbers on the CPU is put back, so that no result depends on who watches.

    Args:
        report: Whom events go on to.
    """

    report: Reporter
    _told: list[_Told] = field(default_factory=list)

    def open(self, chosen: Sequence[tuple[ChosenTracker, type[Tracker]]], study: Path) -> None:
        """Makes trackers, of the classes that were imported, for the study in a folder."""
        for choice, cls in chosen:
            try:
                with own_randomness():
                    tracker = call_component(choice.extension, cls, choice.settings, study)
            except Exception as error:
                self._tell_failure(choice.extension, error)
                continue
            self._told.append(_Told(choice.extension, tracker))

    def __call__(self, event: Event, /) -> None:
        """Tells an event to everybody."""
        for told in self._told:
            if told.failed:
                told.missed += 1
                continue
            try:
                with own_randomness():
                    call_component(told.extension, told.tracker, event)
                told.events += 1
            except Exception as error:
                told.failed, told.missed = True, 1
                self._tell_failure(told.extension, error)
        self.report(event)

    def close(self) -> None:
        """Ends every tracker, those that failed too, each in a thread of its own: one that hangs is left behind."""
        for told in self._told:
            if told.failed:
                count = f"was told {told.events:,} of {told.events + told.missed:,} events"
                self._warn(f"{told.extension.title} {count}: it was left out after it failed")
            errors: list[BaseException] = []
            thread = threading.Thread(target=_close, args=(told, errors), name="tracker", daemon=True)
            thread.start()
            thread.join(CLOSE_SECONDS)
            if thread.is_alive():
                self._warn(f"{told.extension.title} did not end within {CLOSE_SECONDS:.0f} s; it is not waited for")
            elif errors and not told.failed:
                self._warn(f"{_words(told.extension, errors[0])}; what it kept may lack its end")

    def _tell_failure(self, extension: Extension, error: Exception) -> None:
        self._warn(f"{_words(extension, error)}\nIt is left out from now on; the runs go on without it.")

    def _warn(self, text: str) -> None:
        self.report(Message(text=text, level="warning"))


@contextmanager
def tracking(
    chosen: Sequence[tuple[ChosenTracker, type[Tracker]]], study: Path, report: Reporter
) -> Iterator[Reporter]:
    """Yields a reporter that also tells trackers, for the length of a block.

    Args:
        chosen: The trackers and their classes.
        study: The study's folder.
        report: Whom events go on to.
    """
    if not chosen:
        yield report
        return
    trackers = Trackers(report)
    try:
        trackers.open(chosen, study)
        yield trackers
    finally:
        trackers.close()


def _close(told: _Told, errors: list[BaseException]) -> None:
    try:
        call_component(told.extension, told.tracker.close)
    except BaseException as error:  # in this thread nobody else would see it
        errors.append(error)


def _words(extension: Extension, error: BaseException) -> str:
    if isinstance(error, CobraError):
        where = f"{error.where}: " if error.where else ""
        text = f"{where}{error.message}"
        return text if extension.qualified in text else f"{extension.title}: {text}"
    return f"{extension.title} failed: {one_line(error)}"
