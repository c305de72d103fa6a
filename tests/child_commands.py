"""Commands of ours in processes of their own, and what they are at."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.study.reading.status import TrialStatus, study_status


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "cobra_kit", *words], stderr=subprocess.PIPE, text=True)


def until(condition: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def at_work(out: Path) -> list[TrialStatus]:
    try:
        return [trial for trial in study_status(out).trials if trial.worker]
    except CobraError:
        return []


def is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
