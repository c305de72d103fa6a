"""The contract of trackers: something that is told about every event of a study, such as a log of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from cobra_kit.events import Event


class Tracker(ABC):
    """A listener that is told about every event of a study. Plugins derive from it and name it in a `TrackerSpec`.

    Events come from the thread that does the work, up to once per optimiser step: a tracker that sends them somewhere
    keeps them and returns at once. With several workers each process has a tracker of its own, made in that process,
    and hears of its own runs; the process that started them hears of the study. One that raises is named to the user
    and told nothing more: it never stops a run, and draws from no generator of random numbers that a run draws from.

    Args:
        config: The checked settings, of the config's class.
        study: The study's folder; files of trackers go into `trackers` there, which `--fresh` deletes with the rest.
    """

    def __init__(self, config: Any, study: Path) -> None:
        self.config, self.study = config, study

    def run_name(self, event: Event) -> str:
        """Returns the name of the run that an event belongs to, `study/arm-s7`; the study's own where it has none."""
        study = self.study.resolve().name
        return f"{study}/{event.arm}" if event.arm else study

    @abstractmethod
    def __call__(self, event: Event, /) -> None:
        """Takes note of an event; which there are, `cobra_kit.events` says."""

    def close(self) -> None:  # noqa: B027 — most trackers have nothing to end
        """Ends the tracking; called once, in a thread of its own, also where the study was interrupted.

        After ten seconds the study ends without it.
        """
