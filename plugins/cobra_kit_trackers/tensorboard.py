"""Curves for TensorBoard, a folder per run: `tensorboard --logdir STUDY/trackers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit.events import Event, Message, RunDone, Scored, StepDone, Validated
from cobra_kit.interfaces import Tracker
from cobra_kit_trackers.config import TensorBoardConfig
from cobra_kit_trackers.folder import tracker_folder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Tracker):
    """Writes `<stage>/loss`, `<stage>/learning_rate`, `<stage>/validation/...` by step, and the scores of a run.

    A run's folder is `study/arm-s7`; messages of the whole study stand as text under its own name.
    """

    def __init__(self, config: TensorBoardConfig, study: Path) -> None:
        super().__init__(config, study)
        self._folder = tracker_folder(config.folder, study)
        self._writers: dict[str, SummaryWriter] = {}
        self._messages = 0

    def __call__(self, event: Event, /) -> None:
        """Takes note of an event; TensorBoard's writer keeps it and writes it out in a thread of its own."""
        if isinstance(event, StepDone):
            figures = {"loss": event.loss, "tokens_per_second": event.tokens_per_second}
            if event.learning_rate is not None:
                figures["learning_rate"] = event.learning_rate
            for name, value in figures.items():
                self._writer(event).add_scalar(f"{event.stage}/{name}", value, event.step)
        elif isinstance(event, Validated):
            for name, value in event.figures.items():
                self._writer(event).add_scalar(f"{event.stage}/validation/{name}", value, event.step)
        elif isinstance(event, Scored):
            for name, share in event.figures.items():
                if share is not None:
                    self._writer(event).add_scalar(f"{event.condition}/{event.benchmark}/{name}", share, 0)
        elif isinstance(event, Message):
            self._messages += 1
            self._writer(event).add_text(event.level, event.text, self._messages)
        elif isinstance(event, RunDone) and event.arm:
            self._writer(event).flush()

    def close(self) -> None:
        """Writes out what is left."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, event: Event) -> SummaryWriter:
        """Returns the writer of the event's run; made when the first event of the run is kept."""
        from torch.utils.tensorboard import SummaryWriter

        name = self.run_name(event)
        if name not in self._writers:
            self._writers[name] = SummaryWriter(log_dir=str(self._folder / name))
        return self._writers[name]
