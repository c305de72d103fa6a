"""What a command took: wall clock, processor time and the most memory, as the system counted them for its process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChildCosts:
    """What a finished command took, with its threads; processes that it began are not in the memory.

    Args:
        wall: Seconds on the clock.
        processor: Seconds of all processors.
        peak: Most bytes of memory that were in use.
        status: Its exit status.
        output: What it printed.
    """

    wall: float
    processor: float
    peak: int
    status: int
    output: str

    def line(self) -> str:
        """Returns the figures in a line."""
        return f"{self.wall:6.1f} s wall, {self.processor:6.1f} s of processors, {self.peak / 1e6:7.0f} MB at most"


def measured(command: Sequence[str]) -> ChildCosts:
    """Runs a command and returns what it took."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return ChildCosts(
        wall=time.monotonic() - start,
        processor=usage.ru_utime + usage.ru_stime,
        peak=usage.ru_maxrss * 1024,
        status=child.returncode,
        output=output,
    )
