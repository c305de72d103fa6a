"""Processes that this one starts, and the signals that end one of ours: Ctrl-C, SIGTERM, SIGHUP, a dead parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO, Final

ENDED_BY: Final = tuple(number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None)
"""The signals that ask a process to end, beside Ctrl-C; systems that are not POSIX lack some."""
_PARENT: Final = "COBRA_KIT_PARENT"
_SET_PARENT_DEATH_SIGNAL: Final = 1  # prctl's PR_SET_PDEATHSIG
ECHO_SECONDS: Final = 2.0
"""After a first signal that ends a process, how long more of them are taken for the same one."""
_LOOK_SECONDS, _SAVE_SECONDS = 0.1, 0.8


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
        arguments: Arguments of the interpreter, such as `-m module`.
        text: What it reads from its standard input.
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
        command,
        env={**environment, **parent_variable()},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def send_signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to a process that may have ended; where there is no such signal, the process is ended."""
    if sys.platform == "win32":  # it knows neither Ctrl-C for one process alone nor SIGKILL
        process.terminate()
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def signal_name(number: int) -> str:
    """Returns `SIGKILL`, or `signal 99` for one that has no name."""
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. Whatever saves at Ctrl-C saves then, too; the exit status tells them apart.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal_name(number))
        self.number = number


def ended_by_signal(code: int) -> int | None:
    """Returns the signal that ended a process of ours, from its exit status; None where none did.

    It was killed by the signal, or saved its work and then ended with the status that shells give to it.
    """
    if code < 0:
        return -code
    return code - 128 if code - 128 in (signal.SIGINT, *ENDED_BY) else None


@contextmanager
def terminations_raised() -> Iterator[Sequence[int]]:
    """Raises `Terminated` when SIGTERM or SIGHUP comes, for the length of a block.

    A signal that whoever started this process has it ignore (`nohup`) stays ignored. In a thread other than the main
    one nothing changes.

    Yields:
        The signals that came, so far.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    begun = 0.0

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        now = time.monotonic()
        # A terminal that closes tells its processes twice: the second time must not come into the saving.
        echo = bool(received) and now - begun < ECHO_SECONDS
        begun = begun if received else now
        received.append(number)
        if not echo:
            raise Terminated(number)

    ours = [number for number in ENDED_BY if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield received
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def parent_variable() -> dict[str, str]:
    """Returns the environment variable by which a Python that this process starts knows its parent."""
    return {_PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Ends this process within two seconds of its parent's death; nothing where no parent was named to it.

    SIGTERM comes first, so that work is saved; what does not end by then is killed. A killed parent leaves nobody at
    work. To be called before anything slow: a parent may die while its child still imports.
    """
    named = os.environ.pop(_PARENT, "")  # not for the processes that this one starts
    if not named.isdigit():
        return
    parent = int(named)
    with contextlib.suppress(ImportError, OSError, AttributeError):  # Linux alone has it
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it may have been ignored by whoever started us

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        if hasattr(signal, "setitimer"):
            # The system's own clock: once Python has begun to take itself down, which takes seconds on a busy machine,
            # no thread of it runs any more.
            signal.setitimer(signal.ITIMER_REAL, _SAVE_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
