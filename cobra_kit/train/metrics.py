"""`metrics.jsonl`: one line per logged step, and a resumed run that writes no step twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile, TrainingError
from cobra_kit.files import append_whole, damage_as, parse_json, read_small, write_text
from cobra_kit.files.checksums import has_checksum, with_checksum
from cobra_kit.files.json_lines import LINES_BYTES


class Metrics:
    """The lines of a run.

    Args:
        path: The file; it is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def rewind(self, stages: Mapping[str, int]) -> None:
        """Drops lines that a resumed run will write again, and a last line that was cut short.

        Args:
            stages: Per stage the step up to which lines stay; stages that are missing, or at 0, lose all of theirs.
        """
        try:
            with damage_as(TrainingError, "Delete it; the curves of earlier steps are lost, and training goes on."):
                content = read_small(self._path, LINES_BYTES)
        except FileNotFoundError:
            return
        lines = content.decode("utf-8", errors="replace").splitlines(keepends=True)
        kept = [line for line in lines if _belongs(line, stages)]
        if kept != lines:
            write_text(self._path, "".join(kept))

    def write(self, **values: Any) -> None:
        """Appends one line.

        Raises:
            TrainingError: The file cannot be written.
        """
        line = with_checksum(json.dumps(values, allow_nan=False).encode()) + b"\n"
        try:
            append_whole(self._path, line, sync=False)  # a step must not wait for the disk
        except OSError as error:
            raise TrainingError(
                f"metrics cannot be written: {error}",
                where=str(self._path),
                hint="Make room on the disk; the last checkpoint is whole, and the same command goes on from it.",
            ) from error


def _belongs(line: str, stages: Mapping[str, int]) -> bool:
    try:
        has_checksum(line.rstrip("\r\n").encode())
        entry = parse_json(line, "a line")
        last = stages.get(entry["stage"], 0)
        # A stage without a step begins anew, its first line, of step 0, included.
        return line.endswith("\n") and last > 0 and int(entry["step"]) <= last
    except (DamagedFile, ValueError, KeyError, TypeError, OverflowError):
        return False
