"""Takes what may hold a password out of the list of processes, which every user of a machine can read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

_COMMAND_LINE, _STATUS, _MEMORY = Path("/proc/self/cmdline"), Path("/proc/self/stat"), Path("/proc/self/mem")
_STARTS_AT, _ENDS_AT = 45, 46
"""Of the arguments in memory, among the fields behind the process's name; see proc(5)."""
_STORAGE = "--storage"


def hide_storage(words: Sequence[str]) -> None:
    """Overwrites a storage's URL among this process's arguments, as `ps` shows them, where it may hold a password.

    Done before anything is imported, so that it is seen for a moment only. The system must have `/proc`; where it has
    not, `is_visible` says so.
    """
    for word, after in zip(words, [*words[1:], ""], strict=True):
        url = after if word == _STORAGE else word.removeprefix(f"{_STORAGE}=") if word.startswith(_STORAGE) else ""
        # Which part is the password is not worth loading SQLAlchemy for at this point.
        if "@" in url or "?" in url or (url and "://" not in url):
            _overwrite(url.encode("utf-8", "surrogateescape"))
            sys.argv[:] = [each.replace(url, "***") for each in sys.argv]  # multiprocessing passes it on


def is_visible(word: str) -> bool:
    """Returns whether a word stands among this process's arguments for everybody to see."""
    try:
        return word.encode("utf-8", "surrogateescape") in _COMMAND_LINE.read_bytes()
    except OSError:  # no /proc: as it was started
        return any(word in each for each in sys.orig_argv)


def _overwrite(secret: bytes) -> None:
    try:
        fields = _STATUS.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        start, end = int(fields[_STARTS_AT]), int(fields[_ENDS_AT])
        with _MEMORY.open("r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start)
            if secret in arguments:
                memory.seek(start)
                memory.write(arguments.replace(secret, b"*" * len(secret)))
    except (OSError, ValueError, IndexError):  # no Linux, or one that does not let a process write there
        return
