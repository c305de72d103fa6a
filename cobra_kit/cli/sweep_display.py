"""The display of a `sweep` that watches its workers: live on a terminal, a line per trial elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

from cobra_kit.cli.progress import print_message, print_styled
from cobra_kit.cli.status_text import Line, live_lines, outcome, overview
from cobra_kit.events import Event, Message
from cobra_kit.formatting import printable
from cobra_kit.study.reading.status import OPEN, StudyStatus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

_LINE_SECONDS = 60.0
_SPARE_LINES = 2


class ProgressDisplay(Protocol):
    """Shows a study that other processes work on."""

    def status(self, status: StudyStatus) -> None:
        """Shows how far it is."""
        ...

    def report(self, event: Event, /) -> None:
        """Shows a message."""
        ...


@contextmanager
def watching() -> Iterator[ProgressDisplay]:
    """Yields a display for the length of a block."""
    if not sys.stderr.isatty():
        yield PlainDisplay()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    with Live(console=console, auto_refresh=False) as live:
        yield _LiveDisplay(console, live)


class PlainDisplay:
    """One line per trial that ends, and every minute in between."""

    def __init__(self) -> None:
        self._printed: set[int] | None = None
        self._last = time.monotonic()

    def status(self, status: StudyStatus) -> None:
        """Prints what is new."""
        ended = {trial.number: trial for trial in status.trials if trial.state not in OPEN}
        if self._printed is None:  # what an earlier process did is no news
            self._printed = set()
            if ended:
                typer.echo(overview(status), err=True)
                self._printed = set(ended)
        for number in sorted(set(ended) - self._printed):
            self._printed.add(number)
            trial = ended[number]
            count = f"{len(self._printed)} of {len(status.trials)}"
            parts = (f"{trial.name}: {trial.state}", outcome(status, trial), count)
            typer.echo(printable("  ".join(filter(None, parts))), err=True)
            self._last = time.monotonic()
        if time.monotonic() - self._last >= _LINE_SECONDS:
            typer.echo(overview(status), err=True)
            self._last = time.monotonic()

    def report(self, event: Event, /) -> None:
        """Prints a message."""
        print_message(event)


class _LiveDisplay:
    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live

    def status(self, status: StudyStatus) -> None:
        from rich.text import Text

        lines: list[Line] = live_lines(status, self._console.width - 1, self._console.height - _SPARE_LINES)
        text = Text("\n", no_wrap=True, overflow="ellipsis").join(Text(line, style=style) for line, style in lines)
        self._live.update(text, refresh=True)

    def report(self, event: Event, /) -> None:
        if isinstance(event, Message):
            print_styled(event, self._console)
