"""The lock on a study folder: of one process, or of several that share it. A killed process holds nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cobra_kit.errors import CobraError, UnreadableFile
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import read_mapping
from cobra_kit.locks import locked
from cobra_kit.study.folder import HOLDER, WORKERS_LOCK


@contextmanager
def held(folder: Path, report: Reporter = silent, *, shared: bool = False) -> Iterator[None]:
    """Holds a study folder for the length of a block.

    Args:
        folder: The study's folder; it exists.
        report: Told where locks do not work.
        shared: Together with others that share it.

    Raises:
        CobraError: Another process holds it, or somebody shares it who wants it alone; says which one.
    """
    path = folder / HOLDER

    def refuse() -> None:
        raise CobraError(
            f"another process is working on this study: {_holder(path)}",
            where=str(folder),
            hint="Wait until it is done, stop it, or give this one a folder of its own with --out.",
        )

    with locked(path, refuse, shared=shared) as is_held:
        if not is_held:
            report(Message(text=_UNLOCKED, level="warning"))
        _sign(path)
        yield


@contextmanager
def held_for_worker(folder: Path) -> Iterator[None]:
    """Notes for the length of a block that a worker is in the folder, which the process that started it holds."""
    with locked(folder / WORKERS_LOCK, lambda: None, shared=True):
        yield


@contextmanager
def without_workers(folder: Path, report: Reporter = silent) -> Iterator[None]:
    """Waits for the workers of a `run` that was killed, which end within seconds, and keeps others out for a block."""

    def waiting() -> None:
        report(Message(text="waiting until the workers of an earlier run have stopped"))

    with locked(folder / WORKERS_LOCK, waiting):
        yield


_UNLOCKED = "this file system has no locks: see to it yourself that no other process works on the study"


def _sign(path: Path) -> None:
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().isoformat(timespec="seconds")}
    try:
        # Through no link: the name of the holder is all that a lock file ever holds.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags, 0o666), "w", encoding="utf-8") as file:
            json.dump(who, file)
    except OSError:
        return  # a full disk: the lock holds without a name on it


def _holder(path: Path) -> str:
    try:
        who = read_mapping(path)
        return f"process {who['pid']} on {who['host']}, since {who['since']}"
    except (OSError, UnreadableFile, KeyError):
        return "it has not said which"
