"""The contract of trackers: something that is told about every event of a study, such as a log of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from cobra_kit.events import Event


class Tracker(ABC):
    """A listener that is told about every event of a study. Plugins derive from it and name it in a `TrackerSpec`.

    Events come from the thread that does the work, up to once per optimiser step: a tracker that sends them somewhere
    keeps them and returns at once.

    Args:
        config: The checked settings, of the config's class.
        study: The study's folder.
    """

    def __init__(self, config: Any, study: Path) -> None:
        self.config, self.study = config, study

    @abstractmethod
    def __call__(self, event: Event, /) -> None:
        """Takes note of an event."""

    def close(self) -> None:  # noqa: B027 — most trackers have nothing to end
        """Ends the tracking; called once, also where the study was interrupted."""
