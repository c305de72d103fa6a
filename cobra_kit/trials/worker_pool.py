"""The worker processes that one command keeps: started, restarted when they are killed, stopped together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter
from cobra_kit.processes import ended_by_signal, send_signal, signal_name, start_in_background
from cobra_kit.trials.failures import MAX_RETRIES

MAX_RESTARTS = MAX_RETRIES + 1
"""Of one worker, without any trial having ended in between: a trial that kills its workers fails before that."""
_GRACE_SECONDS = 30.0
_LAST_LINES = 12


@dataclass(slots=True)
class _Worker:
    number: int
    log: Path
    process: subprocess.Popen[bytes]
    restarts: int = 0
    ended_before: int = 0


@dataclass(slots=True)
class Workers:
    """Processes that work on one study.

    Args:
        command: What each runs; its number is appended.
        environments: Variables of each, beside this process's own.
        logs: Folder of what they print.
        report: Told about restarts.
    """

    command: Sequence[str]
    environments: Sequence[Mapping[str, str]]
    logs: Path
    report: Reporter
    _running: list[_Worker] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """The errors of the workers that gave up."""

    def start(self) -> None:
        """Starts all of them."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for number in range(len(self.environments)):
            log = self.logs / f"{socket.gethostname()}-{os.getpid()}-{number}.log"
            self._running.append(_Worker(number, log, self._process(number, log)))

    def tend(self, ended: int) -> bool:
        """Restarts workers that were killed; returns whether any works.

        Args:
            ended: How many trials have ended: a worker that is killed again and again without any is given up.
        """
        for worker in list(self._running):
            code = worker.process.poll()
            if code is None:
                continue
            self._running.remove(worker)
            if (number := ended_by_signal(code)) is not None:  # an error has a code of its own, and would come again
                self._restart(worker, number, ended)
            elif code:
                self.failures.append(_last_error(worker.log))
        return bool(self._running)

    def stop(self) -> None:
        """Interrupts all of them, as Ctrl-C does, and waits; each saves where it is."""
        for worker in self._running:
            send_signal(worker.process, signal.SIGINT)
        until = time.monotonic() + _GRACE_SECONDS
        for worker in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, until - time.monotonic()))
        for worker in self._running:
            send_signal(worker.process, signal.SIGKILL)
            worker.process.wait()
        self._running.clear()

    def _restart(self, worker: _Worker, number: int, ended: int) -> None:
        name = signal_name(number)
        restarts = worker.restarts + 1 if ended == worker.ended_before else 1
        if restarts > MAX_RESTARTS:
            self.failures.append(f"a worker was killed {restarts} times in a row ({name}), so it was not started again")
            return
        self.report(Message(text=f"worker {worker.number} was killed ({name}); it starts again", level="warning"))
        self._running.append(
            _Worker(worker.number, worker.log, self._process(worker.number, worker.log), restarts, ended)
        )

    def _process(self, number: int, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            return start_in_background([*self.command, str(number)], {**os.environ, **self.environments[number]}, file)


@contextmanager
def working(workers: Workers) -> Iterator[None]:
    """Starts workers for the length of a block, and sees to it that none outlives it."""
    try:
        workers.start()
        yield
    finally:
        workers.stop()


def raise_failures(failures: Sequence[str], logs: Path) -> None:
    """Raises a `CobraError` with the error of the first worker that gave up."""
    if failures:
        raise CobraError(failures[0], where=str(logs), hint="The workers' own words are in that folder.")


def _last_error(log: Path) -> str:
    """Returns the error that a worker ended with, else the end of its log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if errors:
        return "\n".join(lines[errors[-1] :]).removeprefix("error: ")
    return "\n".join(["a worker stopped:", *lines[-_LAST_LINES:]])
