"""A count of a trial's lost workers at one place: a trial that kills whoever takes it must not go round for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FAILURES: Final = "cobra_kit:losses"  # the attribute keeps its name: studies have it
MAX_RETRIES: Final = 5
"""The retry limit of a trial: workers that it may lose in a row without having got any further; then it has failed."""


@dataclass(frozen=True, slots=True)
class WorkerFailures:
    """A trial's memory of workers that were killed or went silent.

    Args:
        in_a_row: How many, since it last got further.
        furthest: The furthest that it ever was.
    """

    in_a_row: int = 0
    furthest: int = -1

    def with_another(self, progress: int) -> WorkerFailures:
        """Returns the record after another failure, at `progress`."""
        # Whoever got further is not stuck: a long trial on a busy machine may lose any number of workers.
        return WorkerFailures(1 if progress > self.furthest else self.in_a_row + 1, max(progress, self.furthest))

    @property
    def too_many(self) -> bool:
        """Returns whether the trial has failed."""
        return self.in_a_row >= MAX_RETRIES

    def error_text(self, last: object, hint: str) -> str:
        """Returns the error of a trial that lost too many; `last` is the last worker."""
        return (
            f"{self.in_a_row} workers in a row were killed or went silent at the same place, the last one {last}\n"
            f"hint: {hint}"
        )


def read_failures(attributes: Mapping[str, Any]) -> WorkerFailures:
    """Returns the record among a trial's user attributes."""
    return WorkerFailures(**attributes.get(FAILURES, {}))
