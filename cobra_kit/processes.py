"""Processes that this one starts: commands run to their end, Python with the same modules, work in the background."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO


def run_command(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Returns what a command did; the exit status is -1 where it could not be started or took too long."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, stdout="", stderr=f"it took longer than {seconds:.0f} seconds")
    except OSError as error:
        return subprocess.CompletedProcess(command, -1, stdout="", stderr=error.strerror or str(error))


def output_of(*command: str, seconds: float = 10.0) -> str | None:
    """Returns what a command printed; None where it cannot be run, fails, or prints nothing."""
    ended = run_command(command, seconds)
    return (ended.stdout.strip() or None) if ended.returncode == 0 else None


def run_python(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Returns what another Python did, which imports from where this one does.

    Args:
        arguments: Of the interpreter, such as `-m module`.
        text: What it reads.
    """
    return subprocess.run(
        [sys.executable, *arguments], input=text, capture_output=True, text=True, env=python_environment()
    )


def python_environment() -> dict[str, str]:
    """Returns the environment of a Python that imports from where this one does, changes of `sys.path` included."""
    # An empty entry means the working directory; in PYTHONPATH it would mean nothing.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


def last_line(text: str, otherwise: str) -> str:
    """Returns the last line of what a failed process printed, which of a traceback is the error."""
    return (text.strip().splitlines() or [otherwise])[-1]


def start_in_background(
    command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Starts a process that reads nothing, prints to a file, and is interrupted by `send_signal` alone."""
    # A session of its own: Ctrl-C in the terminal comes to it once, from us, not from the terminal too.
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def send_signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def signal_name(number: int) -> str:
    """Returns `SIGKILL`, or `signal 99` for one that has no name."""
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"


def stop_with(parent: int, every_seconds: float = 1.0) -> None:
    """Interrupts this process, as Ctrl-C does, once its parent has gone: a killed parent leaves nobody at work."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every_seconds)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="parent", daemon=True).start()
