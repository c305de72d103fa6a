"""The workers of a `run`: runs side by side, each in one process and one thread, with one board and one Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cobra_kit._plugins import attribute
from cobra_kit.cli.event_relay import EventRelay, EventWriter
from cobra_kit.cli.exit_codes import FAILED
from cobra_kit.cli.failure import ToldFailure
from cobra_kit.cli.progress import progress
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message
from cobra_kit.study.execution.devices import side_by_side_environment
from cobra_kit.study.execution.side_by_side import WORKER_VARIABLE, suggested_workers
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import StudySession, open_session
from cobra_kit.study.execution.trial_sources import GridTrials
from cobra_kit.study.plan.study_plan import StudyPlan

_LOOK_SECONDS = 0.1
_ADVICE = "\n       The workers' own words are in {}. With --workers 1 there is one process, which takes less memory."


@dataclass(slots=True)
class RunWorkers:
    """Does the runs of a study that are left, side by side where that is possible.

    Args:
        command: The words of a worker's command, but for its number.
        relay: What is shown.
        asked: How many workers the user wants; None: as many as this machine has room for.
        by_itself: Whether workers are started unasked. Not where another program has called ours: what it has changed
            in its process, its children would not know.
    """

    command: Sequence[str]
    relay: EventRelay
    asked: int | None = None
    by_itself: bool = True
    _files: list[Path] = field(default_factory=list)

    def work(self, session: StudySession) -> None:
        """Does what is left of a study.

        Raises:
            CobraError: A run cannot be done, or failed in this process.
            ToldFailure: A run failed in a worker.
            KeyboardInterrupt: Ctrl-C; everything that was done is kept.
        """
        session.check_ahead()  # before the workers: data are opened, drawn and found wanting once
        workers = self._count(session)
        if workers == 1:
            session.work()
        else:
            self._together(session, workers)

    def _count(self, session: StudySession) -> int:
        if self.asked is None:
            return suggested_workers(session) if self.by_itself else 1
        left = len(session.runs_left())
        if self.asked > left > 0:
            runs = "1 run is left" if left == 1 else f"{left} runs are left"
            text = f"--workers {self.asked}, but {runs}: {left} will work"
            self.relay.own(Message(text=text, level="warning"))
        return max(1, min(self.asked, left))

    def _together(self, session: StudySession, workers: int) -> None:
        from cobra_kit.trials.worker_pool import Workers, working

        logs = session.folder.workers
        stem = f"{socket.gethostname()}-{os.getpid()}"
        self._files = [logs / f"{stem}-{number}.events" for number in range(workers)]
        pool = Workers(
            [sys.executable, "-m", "cobra_kit", *self.command, "--worker"],
            [
                {WORKER_VARIABLE: str(file), **side_by_side_environment(number, workers, session.device)}
                for number, file in enumerate(self._files)
            ],
            logs,
            self.relay.own,
        )
        self.relay.own(Message(text=f"{len(session.runs_left())} runs are left; {workers} workers train side by side"))
        try:
            with working(pool):
                while pool.tend(len(self.relay.done)) and not pool.failures:
                    time.sleep(_LOOK_SECONDS)
                    self.relay.read(self._files)
        finally:
            self.relay.read(self._files)
            for file in self._files:
                file.unlink(missing_ok=True)
        session.note_done(self.relay.done)
        if pool.failures:
            # One that was killed, or left past Python, could not tell its error.
            raise self.relay.failure or ToldFailure(pool.failures[0] + _ADVICE.format(logs), FAILED)
        if lost := session.failed():
            name, reason = lost[0]
            message, _, hint = reason.partition("\nhint: ")
            raise CobraError(f"{name}: {message}", where=str(session.folder.path), hint=hint or None)


def work_as_one(plan: StudyPlan, path: Path, *, control: str | None, device: str, trackers: Sequence[str] = ()) -> None:
    """Does runs of a study for the `run` that started this process; it shows progress, and makes the table."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with & ignore it
    options = WorkerOptions(fail_fast=True, device=device)
    with open(os.environ.get(WORKER_VARIABLE, os.devnull), "ab") as file, progress(plan) as log:
        writer = EventWriter(file)

        def report(event: Event, /) -> None:
            log(event)
            writer(event)

        try:
            with open_session(
                GridTrials(plan, control),
                path,
                options,
                worker=True,
                retry_failed=False,
                report=report,
                trackers=trackers,
            ) as session:
                session.work()
        except BaseException as error:
            # Ctrl-C of the user's is no failure; one that a plugin raises is.
            if not isinstance(error, KeyboardInterrupt) or attribute(error, foreign=True) is not None:
                writer.failure(error)
            raise
