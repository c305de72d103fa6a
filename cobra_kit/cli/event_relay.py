"""Brings the events of workers to the one board of the command that watches them: a file of JSON lines per worker."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cobra_kit.cli.failure import ToldFailure, text_and_code
from cobra_kit.events import Event, Message, Progress, Reporter, RunDone, RunStarted, StageDone, StageStarted, StepDone

_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Message, Progress, RunDone, RunStarted, StageDone, StageStarted, StepDone)
}
_EVERY_SECONDS = 0.2
_KIND, _FAILURE = "kind", "failure"


class EventWriter:
    """Writes the events of a worker, no more of those that only count up than a board can show.

    Args:
        file: Where to; the lines of a worker that was killed stay there.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._counted = file, 0.0
        self._put(b"\n")  # behind half a line of a killed worker

    def __call__(self, event: Event, /) -> None:
        """Writes an event."""
        if isinstance(event, StepDone | Progress) and not _is_last(event):
            if time.monotonic() - self._counted < _EVERY_SECONDS:
                return
            self._counted = time.monotonic()
        if type(event).__name__ in _KINDS:
            self._line({_KIND: type(event).__name__, **asdict(event)})

    def failure(self, error: BaseException) -> None:
        """Writes the error that ends the worker, as a user is told it."""
        text, code = text_and_code(error)
        trace = "".join(traceback.format_exception(error))
        self._line({_KIND: _FAILURE, "text": text, "code": code, "trace": trace})

    def _line(self, content: dict[str, Any]) -> None:
        self._put(json.dumps(content).encode("ascii") + b"\n")

    def _put(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError:  # news, and no news is no reason to lose a run
            return


def _is_last(event: StepDone | Progress) -> bool:
    return event.step == event.steps if isinstance(event, StepDone) else event.done >= event.total


@dataclass(slots=True)
class EventRelay:
    """Reads what workers write and shows it, beside what this process itself has to tell.

    Args:
        report: The board on which everything is shown.
    """

    report: Reporter
    failure: ToldFailure | None = None
    """The first error that ended a worker."""
    done: list[str] = field(default_factory=list)
    """The runs that workers have finished."""
    _tellers: dict[str, Path | None] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)

    def own(self, event: Event, /) -> None:
        """Shows an event of this process."""
        self._show(event, None)

    def read(self, files: Sequence[Path]) -> None:
        """Shows what workers have written since the last time."""
        for file in files:
            for line in self._new_lines(file):
                self._take(line, file)

    def _new_lines(self, file: Path) -> list[bytes]:
        try:
            with file.open("rb") as stream:
                stream.seek(self._read.get(file, 0))
                text = stream.read()
        except OSError:  # the worker has not begun
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read[file] = self._read.get(file, 0) + len(whole)
        return whole.splitlines()

    def _take(self, line: bytes, file: Path) -> None:
        try:
            fields = json.loads(line)
            kind = fields.pop(_KIND)
            if kind == _FAILURE:
                self.failure = self.failure or ToldFailure(**fields)
                return
            event = _KINDS[kind](**fields)
        except (ValueError, KeyError, TypeError, AttributeError):  # what a killed worker began to write
            return
        if isinstance(event, RunDone):
            self.done.append(event.arm)
        self._show(event, file)

    def _show(self, event: Event, teller: Path | None) -> None:
        # What belongs to the study and not to a run, each process says once: a user is told by the first.
        if isinstance(event, Message) and not event.arm and self._tellers.setdefault(event.text, teller) != teller:
            return
        self.report(event)
