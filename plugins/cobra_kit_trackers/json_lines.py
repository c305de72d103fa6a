"""Every event as a line of JSON, for scripts, and for watching with `tail -f`."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from cobra_kit.events import Event
from cobra_kit.interfaces import Tracker
from cobra_kit_trackers.config import JsonLinesConfig
from cobra_kit_trackers.folder import tracker_folder


class JsonLines(Tracker):
    """Writes `{"time": ..., "run": "study/mlp-s7", "event": "StepDone", ...}`, with the fields of the event.

    Each process has a file of its own, `<host>-<process>.jsonl`: several never write into one another's lines.
    """

    def __init__(self, config: JsonLinesConfig, study: Path) -> None:
        super().__init__(config, study)
        folder = tracker_folder(config.folder, study)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{socket.gethostname()}-{os.getpid()}.jsonl"
        self._file: IO[str] = self.path.open("a", encoding="utf-8")

    def __call__(self, event: Event, /) -> None:
        """Writes a line; it is in the file at once, since the process may be killed."""
        line = {"time": time.time(), "run": self.run_name(event), "event": type(event).__name__, **asdict(event)}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
