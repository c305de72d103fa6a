"""Progress on stderr: live rows on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from cobra_kit.cli.progress_rows import DONE, WAITING, WORKING, ProgressRow, ProgressRows
from cobra_kit.events import Event, Message, Progress, Reporter, RunDone, StageDone, StageStarted, StepDone
from cobra_kit.formatting import printable, printable_lines
from cobra_kit.study.plan.study_plan import StudyPlan

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PER_SECOND = 8
_LINE_SECONDS = 15.0
_SPARE_LINES = 3
_MARGIN = 2  # for the terminal's own `^C`, which else begins a new line
_GAP = "  "
MIN_BAR_WIDTH, MAX_BAR_WIDTH = 4, 40
"""Columns of the progress bar; where there is not even room for the shortest, there is none."""
_STYLES = {WAITING: ("", "dim"), WORKING: ("bold", ""), DONE: ("", "green")}


@contextmanager
def progress(plan: StudyPlan | None) -> Iterator[Reporter]:
    """Yields a reporter that shows a study's progress for the length of a block; without a plan, a search's."""
    study_rows = ProgressRows(plan)
    if not sys.stderr.isatty():
        yield PlainProgress(study_rows)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    # No thread that redraws: events come often, and a second writer to the terminal leaves torn lines behind.
    with Live(console=console, auto_refresh=False, get_renderable=lambda: draw(study_rows, console)) as live:
        drawn = 0.0

        def show(event: Event, /) -> None:
            nonlocal drawn
            if isinstance(event, Message):
                live.refresh()
                print_styled(event, console)
                return
            study_rows.take(event)
            if time.monotonic() - drawn >= 1 / _PER_SECOND or not isinstance(event, StepDone | Progress):
                live.refresh()
                drawn = time.monotonic()

        yield show


def draw(study_rows: ProgressRows, console: Console) -> RenderableType:
    """Returns the rows as wide as the console, and no higher than it."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows, hidden = fitting(study_rows.rows, console.height - _SPARE_LINES)
    # Not left to rich: it takes from every column alike, and the numbers would go before the bar does.
    widths = column_widths(rows, console.width - _MARGIN)
    grid = Table.grid(padding=(0, len(_GAP), 0, 0))
    for width in widths:
        grid.add_column(width=width, no_wrap=True, overflow="ellipsis")
    grid.columns[-1].justify = "right"
    for row in rows:
        bar = ProgressBar(total=1.0, completed=row.share, width=widths[2]) if row.state == WORKING else Text()
        bar_cell = bar if row.total and widths[2] else Text()
        grid.add_row(
            Text(printable(row.label), style=_STYLES[row.state][0]),
            Text(printable(row.facts), style=_STYLES[row.state][1]),
            bar_cell,
            row.left,
        )
    if hidden:
        grid.add_row("", Text(f"and {hidden} more", style="dim"), "", "")
    return grid


def column_widths(rows: Sequence[ProgressRow], width: int) -> tuple[int, int, int, int]:
    """Returns the widths of label, facts, bar and time left; where there is little room, the bar gives way first."""
    label = min(max((len(row.label) for row in rows), default=0), width // 4)
    left = max((len(row.left) for row in rows), default=0)
    room = width - label - left - 3 * len(_GAP)
    facts = max((len(row.facts) for row in rows), default=0)
    if room - facts < MIN_BAR_WIDTH:
        return label, max(1, room), 0, left
    return label, facts, min(room - facts, MAX_BAR_WIDTH), left


def fitting(rows: list[ProgressRow], most: int) -> tuple[list[ProgressRow], int]:
    """Returns the rows that fit, and how many do not: the working ones stay, the oldest finished ones go first."""
    kept = list(rows)
    hidden = 0
    while len(kept) + (1 if hidden else 0) > max(1, most):
        first_done = next((i for i, row in enumerate(kept) if row.state == DONE), None)
        last_waiting = next((i for i in range(len(kept) - 1, -1, -1) if kept[i].state == WAITING), None)
        victim = first_done if first_done is not None else last_waiting
        if victim is None:
            break
        del kept[victim]
        hidden += 1
    return kept, hidden


class PlainProgress:
    """One line when a stage begins or ends, and every 15 seconds in between."""

    def __init__(self, study_rows: ProgressRows) -> None:
        self._rows = study_rows
        self._last: dict[str, float] = {}

    def __call__(self, event: Event, /) -> None:
        """Prints a line if it is time for one."""
        if isinstance(event, Message):
            print_message(event)
            return
        row = self._rows.take(event)
        if row is None:
            return
        key = f"{row.label} {row.task}"
        new = key not in self._last
        notable = isinstance(event, StageStarted | StageDone | RunDone) or row.done == row.total
        if new or notable or time.monotonic() - self._last[key] >= _LINE_SECONDS:
            self._last[key] = time.monotonic()
            typer.echo(line(row), err=True)


def line(row: ProgressRow) -> str:
    """Returns a row as one line of text."""
    return printable(f"{row.label}: " + "  ".join(filter(None, (row.facts, row.left))))


def print_message(event: Event, /) -> None:
    """Prints an event on stderr if it is a message."""
    if isinstance(event, Message):
        typer.echo(_message_text(event), err=True)


def print_styled(message: Message, console: Console) -> None:
    """Prints a message above what is drawn on a terminal."""
    style = "yellow" if message.level == "warning" else "dim"
    console.print(_message_text(message), markup=False, emoji=False, style=style)


def _message_text(message: Message) -> str:
    return printable_lines(f"{message.level}: {message.text}" if message.level == "warning" else message.text)
