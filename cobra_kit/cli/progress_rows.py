"""The state of work in progress, as rows of text: one per run, one per piece of shared work. Draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cobra_kit.events import Event, Progress, RunDone, RunStarted, StageDone, StageStarted, StepDone
from cobra_kit.formatting import duration
from cobra_kit.study.plan.study_plan import StudyPlan

WAITING, WORKING, DONE = "waiting", "working", "done"


@dataclass(slots=True)
class ProgressRow:
    """One line of the progress display.

    Args:
        label: The arm, or the shared work.
        state: `waiting`, `working` or `done`.
        task: What is being done, such as `finetune`.
        unit: What is counted: `step`, `questions`.
        done: How many units are done.
        total: How many units there are.
        figures: Loss and speed.
        seconds_left: Seconds until this task ends, or None.
        outcome: The text to show when it is done.
    """

    label: str
    state: str = WAITING
    task: str = ""
    unit: str = ""
    done: int = 0
    total: int = 0
    figures: str = ""
    seconds_left: float | None = None
    outcome: str = ""

    @property
    def facts(self) -> str:
        """Returns task, count and figures, two blanks between them; once done, the outcome."""
        if self.state != WORKING:
            return self.outcome if self.state == DONE else self.state
        return "  ".join(filter(None, (self.task, self.counted, self.figures)))

    @property
    def left(self) -> str:
        """Returns `1:52 left`, or nothing where that is unknown."""
        return "" if self.seconds_left is None else f"{duration(self.seconds_left)} left"

    @property
    def counted(self) -> str:
        """Returns `step 640/1,500`, or `1,234/5,000 questions`."""
        if not self.total:
            return ""
        if self.unit == "step":
            return f"step {self.done:,}/{self.total:,}"
        return f"{self.done:,}/{self.total:,} {self.unit}"

    @property
    def share(self) -> float:
        """Returns which part of the task is done."""
        return self.done / self.total if self.total else 0.0


class ProgressRows:
    """The rows of a study.

    Args:
        plan: The plan whose runs are shown; None: those of a search, each known when it begins.
        clock: Seconds that only grow.
    """

    def __init__(self, plan: StudyPlan | None, clock: Callable[[], float] = time.monotonic) -> None:
        several = plan is not None and len(plan.seeds) > 1
        self._runs = {run.name: ProgressRow(run.name if several else run.arm) for run in plan.runs} if plan else {}
        self._is_open = plan is None
        self._shared: dict[str, ProgressRow] = {}
        self._clock = clock
        self._began: dict[int, tuple[str, float, int]] = {}
        self._latest = clock()

    @property
    def rows(self) -> list[ProgressRow]:
        """Returns shared work that is not finished, then the runs."""
        return [*(row for row in self._shared.values() if row.state != DONE), *self._runs.values()]

    def take(self, event: Event) -> ProgressRow | None:
        """Notes an event; returns the row that it changed, or None."""
        row = self._noted(event)
        self._latest = self._clock()
        return row

    def _noted(self, event: Event) -> ProgressRow | None:
        row = self._row(event)
        if row is None:
            return None
        if isinstance(event, RunDone):
            row.state, row.seconds_left = DONE, None
            row.outcome = f"trained in {duration(event.seconds)}" + ("" if event.worked else ", finished before")
            return row
        if isinstance(event, Progress):
            self._count(row, event)
            return row
        row.state = WORKING
        if isinstance(event, RunStarted):
            row.task, row.unit, row.done, row.total, row.figures, row.seconds_left = "starting", "", 0, 0, "", None
        elif isinstance(event, StageStarted):
            row.task, row.unit, row.done, row.total, row.figures = event.stage, "step", event.step, event.steps, ""
            row.seconds_left = None
        elif isinstance(event, StepDone):
            row.task, row.unit, row.done, row.total = event.stage, "step", event.step, event.steps
            row.figures = f"loss {event.loss:.3f}  {event.tokens_per_second:,.0f} tok/s"
            row.seconds_left = event.seconds_left
        elif isinstance(event, StageDone):
            row.figures, row.seconds_left = f"loss {event.loss:.3f}", 0.0
        return row

    def _row(self, event: Event) -> ProgressRow | None:
        if event.arm and self._is_open:
            return self._runs.setdefault(event.arm, ProgressRow(event.arm))
        if event.arm in self._runs:
            return self._runs[event.arm]
        if isinstance(event, Progress):
            return self._shared.setdefault(event.task, ProgressRow(event.task))
        return None

    def _count(self, row: ProgressRow, event: Progress) -> None:
        began = self._began.get(id(row))
        if began is None or began[0] != event.task or event.done < row.done or row.state == DONE:
            # Work that reports first when some of it is done began when whatever was before it ended.
            start = self._latest if event.done else self._clock()
            began = self._began[id(row)] = (event.task, start, event.done)
        row.state = WORKING
        row.task = "" if not event.arm else "features" if event.task.startswith("features of ") else event.task
        row.unit, row.done, row.total, row.figures = event.unit, event.done, event.total, ""
        made, seconds = event.done - began[2], self._clock() - began[1]
        row.seconds_left = (event.total - event.done) * seconds / made if made else None
        if not event.arm and event.done >= event.total:
            row.state, row.seconds_left = DONE, None
            row.outcome = f"{event.total:,} {event.unit}  {duration(seconds)}"
