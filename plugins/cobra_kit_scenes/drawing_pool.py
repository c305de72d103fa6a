"""Worker processes that draw while this process writes the questions."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cobra_kit.errors import CobraError
from cobra_kit.machine import cores
from cobra_kit.processes import last_line, parent_variable, python_environment

_MAX_WORKERS = 8


def default_workers() -> int:
    """Returns one worker per usable core, at most eight; none on Windows, which cannot wait for pipes."""
    if sys.platform == "win32":
        return 0
    return min(_MAX_WORKERS, cores())


class DrawingPool:
    """Starts the workers on entry and ends them on exit, whatever happened.

    Args:
        folder: Where the splits' folders are, with room allocated.
        plan: Seed and sizes.
        workers: Processes to start.
        report: Called in this process with the number of images just drawn.
    """

    def __init__(self, folder: Path, plan: dict[str, object], workers: int, report: Callable[[int], None]) -> None:
        self._arguments = [str(folder), json.dumps(plan)]
        self._workers = workers
        self._report = report
        self._running: list[tuple[subprocess.Popen[str], IO[str]]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        environment = {**python_environment(), **parent_variable()}
        for rank in range(self._workers):
            errors = tempfile.TemporaryFile("w+")
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "cobra_kit_scenes.worker",
                    *self._arguments,
                    str(rank),
                    str(self._workers),
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=environment,
                text=True,
            )
            assert process.stdout is not None
            self._running.append((process, errors))
            self._selector.register(process.stdout, selectors.EVENT_READ, (process, errors))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        for process, errors in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
            errors.close()

    def poll(self, timeout: float | None = 0) -> None:
        """Takes in what the workers reported; waits up to `timeout` seconds (None: until one reports).

        Raises:
            CobraError: A worker failed.
        """
        for key, _ in self._selector.select(timeout):
            line = key.fileobj.readline()  # type: ignore[union-attr]  # a text pipe, registered above
            if line:
                self._report(int(line))
                continue
            process, errors = key.data
            self._selector.unregister(key.fileobj)
            if process.wait():
                errors.seek(0)
                raise drawing_failed(last_line(errors.read(), f"exit code {process.returncode}"))

    def finish(self) -> None:
        """Waits for all workers.

        Raises:
            CobraError: A worker failed.
        """
        while self._selector.get_map():
            self.poll(None)


def drawing_failed(reason: str) -> CobraError:
    """Returns the error of an image that could not be drawn or written."""
    return CobraError(
        f"drawing the pictures failed: {reason}",
        where="scenes",
        hint="If the disk is full, make room or set COBRA_KIT_CACHE to another. Nothing half-made was kept.",
    )
