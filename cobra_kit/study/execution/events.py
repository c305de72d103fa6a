"""The events that a study tells whoever watches, beside those of training."""

from __future__ import annotations

from dataclasses import dataclass

from cobra_kit.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run begins or goes on.

    Args:
        folder: Path of the run's folder.
    """

    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone(Event):
    """A run is trained and scored.

    Args:
        seconds: Seconds of training, over all processes.
        worked: Whether anything was done in this process; False where the run was finished before.
    """

    seconds: float
    worked: bool
