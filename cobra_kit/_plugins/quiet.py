"""Keeps what a plugin prints out of our output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Sends everything that is written to stdout to stderr instead, so that `--json` output stays valid.

    A module that prints while it is imported writes through `sys.stdout`; a library or a child process writes to the
    file descriptor. Both are redirected.
    """
    with contextlib.redirect_stdout(sys.stderr), _descriptor_to_stderr():
        yield


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    saved = _save_descriptor()
    if saved is None:
        yield
        return
    try:
        with contextlib.suppress(OSError):  # stderr is closed: leave stdout alone
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def _save_descriptor() -> int | None:
    """Returns a copy of descriptor 1, or None where there is none (a service, a closed stdout)."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()  # text still buffered for stdout must not end up in stderr
        return os.dup(1)
    except (OSError, ValueError):
        return None
