"""The number of training runs that go on side by side on the CPU, each in a process and a thread of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cobra_kit.locks import is_locked
from cobra_kit.machine import available_memory, cores, resident_memory
from cobra_kit.study.execution.devices import CPU, threads_of_run
from cobra_kit.study.folder import HOLDER

if TYPE_CHECKING:
    from cobra_kit.study.execution.study_session import StudySession

WORKER_VARIABLE: Final = "COBRA_KIT_WORKER"
"""Set in the environment of a worker and of whatever it starts: the file into which the worker writes its events."""
_PLANNED_WITH = 0.9


def is_within_worker() -> bool:
    """Returns whether this process is a worker or was started by one: the cores are shared out already."""
    return WORKER_VARIABLE in os.environ


def suggested_workers(session: StudySession) -> int:
    """Returns how many workers a `run` uses where nobody has said: one means that it works by itself.

    As many as there are cores that may be used, runs left, and memory for. Without locks that several processes keep,
    what runs share could not be waited for, and a worker starts no workers.

    Args:
        session: What is to be done; its data are open, so that the memory that they take is counted.
    """
    runs = session.runs_left()
    if len(runs) < 2 or session.device != CPU or is_within_worker():
        return 1
    if is_locked(session.folder.path / HOLDER) is not True:  # held by us, if locks work there
        return 1
    most = min(len(runs), cores() // threads_of_run())
    memory = available_memory()
    if most > 1 and memory is not None:
        most = min(most, int(_PLANNED_WITH * memory) // _worker_memory(session))
    return max(1, most)


def _worker_memory(session: StudySession) -> int:
    """Returns the bytes that a worker takes at least: what this process has, and the largest run's weights."""
    from cobra_kit.study.execution.preflight import needed_memory

    arms = {run.arm: run for run in session.runs_left()}
    return (resident_memory() or 0) + max(needed_memory(run, session.device) for run in arms.values()) or 1
