"""Keeps what a plugin prints out of our output."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO


class PrintsToStderr:
    """Within `with`, what this thread writes to `sys.stdout` goes to stderr; other threads write where they did.

    Cheap enough for every call into a component: two threads may be in such blocks at the same time, and the last one
    to leave puts the stream back that was there before the first.
    """

    def __enter__(self) -> None:
        with _LOCK:
            # A thread that hangs in a block never leaves it, and somebody may have put another stream there since.
            if not _state.users or not isinstance(sys.stdout, _Switch):
                _state.before = sys.stdout
                sys.stdout = _Switch(_state.before)
            _state.users += 1
        _inside.depth = getattr(_inside, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        _inside.depth -= 1
        with _LOCK:
            _state.users -= 1
            if not _state.users:
                sys.stdout, _state.before = _state.before, None  # whatever a plugin has put there meanwhile


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Sends everything that is written to stdout to stderr instead, so that `--json` output stays valid.

    A module that prints while it is imported writes through `sys.stdout`; a library or a child process writes to the
    file descriptor. Both are redirected.
    """
    with PrintsToStderr(), _descriptor_to_stderr():
        yield


class _State:
    """The number of open blocks, and what was there before the first one."""

    users = 0
    before: TextIO | None = None
    descriptors = 0
    saved: tuple[int, int] | None = None


_LOCK = threading.RLock()
_state = _State()
_inside = threading.local()


class _Switch:
    """A stream that is stderr for threads within a block, and the stream it stands for, for all others."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def _target(self) -> Any:
        return sys.stderr if getattr(_inside, "depth", 0) else self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._target())

    def write(self, text: str, /) -> int:
        """Writes to where this thread writes; a closed stream takes nothing, as a plugin's prints are no error."""
        target = self._target()
        return 0 if target is None else target.write(text) or 0

    def flush(self) -> None:
        """Writes out what is buffered."""
        if (target := self._target()) is not None:
            target.flush()

    def close(self) -> None:
        """Does nothing: the stream is the program's, not the plugin's."""

    def detach(self) -> Any:
        """Gives away nothing that would close the stream."""
        return self._target().buffer


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    """Redirects the file descriptor, for all threads; only the main one may, since another may never come back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _LOCK:
        if not _state.descriptors:
            _state.saved = _save_descriptors()
            if _state.saved is not None:
                with contextlib.suppress(OSError):  # stderr is closed: leave stdout alone
                    os.dup2(2, 1)
        _state.descriptors += 1
    try:
        yield
    finally:
        with _LOCK:
            _state.descriptors -= 1
            if not _state.descriptors and _state.saved is not None:
                _flush(sys.__stdout__)  # what was printed past `sys.stdout` and still stands there
                _restore(_state.saved)
                _state.saved = None


def _save_descriptors() -> tuple[int, int] | None:
    """Returns copies of descriptors 1 and 2, or None where there is no stdout (a service); -1 is a closed stderr."""
    try:
        _flush(sys.__stdout__)  # text still buffered for stdout must not end up in stderr
        out = os.dup(1)
    except OSError:
        return None
    try:
        return out, os.dup(2)
    except OSError:
        return out, -1


def _restore(saved: tuple[int, int]) -> None:
    """Puts both descriptors back, whatever was opened or closed in their place."""
    for number, copy in zip((1, 2), saved, strict=True):
        if copy >= 0:
            os.dup2(copy, number)
            os.close(copy)


def _flush(stream: TextIO | None) -> None:
    with contextlib.suppress(OSError, ValueError):
        if stream is not None:
            stream.flush()
