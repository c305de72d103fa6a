"""The process that works on a trial, and whether it can still be alive."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkerId:
    """A process, named so that it cannot be mistaken for a later one.

    Args:
        host: Name of its machine.
        boot: Which run of that machine; empty where the system does not tell.
        pid: Process id on that machine.
        started: When it started, in the system's ticks; 0 where the system does not tell.
        token: Tells workers of one process apart.
    """

    host: str
    boot: str
    pid: int
    started: int
    token: str

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


def this_process() -> WorkerId:
    """Returns this process as a new worker."""
    return WorkerId(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()) or 0, secrets.token_hex(8))


def is_surely_dead(owner: WorkerId) -> bool:
    """Returns whether a process is known to be gone: one of this machine that runs no more.

    Nothing is known of other machines.
    """
    if owner.host != socket.gethostname() or not owner.boot:
        return False
    if owner.boot != _boot():
        return True
    return _started(owner.pid) != owner.started


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Returns when a process started, in ticks since boot; None if there is none, or only its remains."""
    try:
        # The name in brackets may hold anything; behind it stand the state and, 20th from there, the start time.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
