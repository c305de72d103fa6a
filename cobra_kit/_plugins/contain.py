"""Runs a plugin's code so that what it does to this process is undone, and what it raises is known to be its own.

What no process can contain (a crash, a hang, SIGKILL) is at least announced; see `watch`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from cobra_kit._plugins.quiet import stdout_to_stderr
from cobra_kit._plugins.randomness import own_randomness
from cobra_kit._plugins.watch import say, watched_import
from cobra_kit.formatting import printable

WITHOUT = "Ctrl-C ends it; --no-plugins goes without"
"""What helps where the import of a plugin takes long."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_INTERRUPTED = 130


class ProcessEnded(BaseException):
    """The exception a plugin gets that ends the process past Python: the host goes on without it."""


@dataclass(slots=True)
class Importing:
    """A record of what happened while a plugin was imported.

    Args:
        interrupted: Whether somebody pressed Ctrl-C, so that a KeyboardInterrupt is the user's and not the plugin's.
    """

    interrupted: bool = False

    def is_ours(self, error: BaseException) -> bool:
        """Returns whether an exception has nothing to do with the plugin: Ctrl-C, or the handler of a signal."""
        if issubclass(type(error), KeyboardInterrupt):
            return self.interrupted
        return in_signal_handler(error)


@contextlib.contextmanager
def importing(what: str, state: Importing) -> Iterator[None]:
    """Runs the import of a plugin's module, or its hooks, within `with`.

    What it prints goes to stderr. Random states, the working directory, the streams, signal handlers and torch's
    default type are afterwards what they were. After 3 s, and at Ctrl-C, it is named.

    Args:
        what: Is imported: `plugin resampler (my-projectors 0.2.0)`.
        state: Told what happened meanwhile.

    Raises:
        BaseException: Whatever the plugin raises.
    """
    process = os.getpid()
    with (
        watched_import(f"{what}, which is being imported", WITHOUT),
        kept_process_state(),
        stdout_to_stderr(),
        own_randomness(),
        _named_at_interrupt(what, state),
        _no_hard_exit(),
    ):
        try:
            yield
        finally:
            if os.getpid() != process:
                say(f"{what} forked this process while it was imported; its copy ends here")
                _HARD_EXITS["_exit"](1)


@contextlib.contextmanager
def contained(seed: int) -> Iterator[None]:
    """Runs a plugin's code that builds or fills a part within `with`: undoes what it does to the process.

    Args:
        seed: Where the random numbers start that it draws without asking.

    Raises:
        BaseException: Whatever the plugin raises.
    """
    with kept_process_state(), stdout_to_stderr(), own_randomness(seed), _no_hard_exit():
        yield


@contextlib.contextmanager
def kept_process_state() -> Iterator[None]:
    """Puts back what a plugin may change for everybody: streams, the working directory, limits, torch's defaults."""
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    limit, folder = sys.getrecursionlimit(), _working_folder()
    torch: Any = sys.modules.get("torch")
    default = torch.get_default_dtype() if hasattr(torch, "get_default_dtype") else None
    gradients = torch.is_grad_enabled() if default is not None else None
    try:
        yield
    finally:
        for number, (name, stream) in enumerate(streams.items()):
            setattr(sys, name, _open_again(stream, number))
        with contextlib.suppress(RecursionError):
            sys.setrecursionlimit(limit)
        if folder is not None and _working_folder() != folder:
            with contextlib.suppress(OSError):
                os.chdir(folder)
        if default is not None:
            torch.set_default_dtype(default)
            torch.set_grad_enabled(gradients)


def in_signal_handler(error: BaseException) -> bool:
    """Returns whether an exception comes from a handler of a signal, which ran while a plugin did."""
    codes = {code for number in signal.valid_signals() if (code := _code_of(signal.getsignal(number))) is not None}
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _code_of(handler: Any) -> Any:
    function = getattr(handler, "__func__", handler)
    return getattr(function, "__code__", None)


@contextlib.contextmanager
def _named_at_interrupt(what: str, state: Importing) -> Iterator[None]:
    """Names the plugin at Ctrl-C, ends the process at a second one, and puts the handlers of signals back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    usual = before[signal.SIGINT]

    def handler(number: int, frame: FrameType | None) -> None:
        if state.interrupted:
            say(f"{what} does not let go")
            _HARD_EXITS["_exit"](_INTERRUPTED)
        state.interrupted = True
        say(f"interrupted while {what} was being imported; a plugin is left out with --no-plugins")
        usual(number, frame)

    if callable(usual):
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        for number, known in before.items():
            if known is not None:  # a handler that was not set from Python can be neither read nor set from it
                signal.signal(number, known)
    if state.interrupted and usual is signal.default_int_handler:
        raise KeyboardInterrupt  # the plugin has caught it


_HARD_EXITS: dict[str, Callable[..., Any]] = {"_exit": os._exit, "abort": os.abort}
"""Ways out of a process that no handler of ours would see."""


@contextlib.contextmanager
def _no_hard_exit() -> Iterator[None]:
    """Turns `os._exit` and `os.abort` into an exception, in this process; in a child they are what they were."""
    if threading.current_thread() is not threading.main_thread():  # it may never come back to put them back
        yield
        return
    process, before = os.getpid(), {name: getattr(os, name) for name in _HARD_EXITS}

    def refused(name: str) -> Callable[..., None]:
        def leave(*arguments: Any) -> None:
            if os.getpid() != process:
                _HARD_EXITS[name](*arguments)
            raise ProcessEnded(f"it called os.{name}({', '.join(map(repr, arguments))})")

        return leave

    for name in _HARD_EXITS:
        setattr(os, name, refused(name))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(os, name, function)


def announce_hard_exits() -> None:
    """Makes this process say who ends it past Python, and never with a success; for processes that are ours alone.

    While a part trains or answers, the call cannot be refused without a price for every step.
    """
    process = os.getpid()

    def leave(status: int = 0) -> None:
        caller = sys._getframe(1)
        name = str(caller.f_globals.get("__name__", ""))
        if os.getpid() == process and not name.startswith("cobra_kit."):
            where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
            say(f"error: {printable(where)}: this line ended the process, by os._exit({status})")
            status = status or 1
        _HARD_EXITS["_exit"](status)

    os._exit = leave  # type: ignore[assignment]


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None  # it was deleted


def _open_again(stream: Any, number: int) -> Any:
    """Returns a standard stream, a new one where a plugin has closed it."""
    with contextlib.suppress(Exception):
        if stream is not None and stream.closed:
            encoding = getattr(stream, "encoding", "utf-8")
            return open(number, "r" if number == 0 else "w", encoding=encoding, errors="replace", closefd=False)
    return stream
