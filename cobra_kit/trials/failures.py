"""How often a trial lost its worker at the same place: one that kills whoever takes it must not go round for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

FAILURES: Final = "cobra_kit:losses"
MAX_RETRIES: Final = 5
"""Workers that a trial may lose in a row without having got any further; then it has failed."""


@dataclass(frozen=True, slots=True)
class WorkerFailures:
    """What a trial remembers of workers that were killed or went silent.

    Args:
        in_a_row: How many, since it last got further.
        furthest: How far it ever was.
    """

    in_a_row: int = 0
    furthest: int = -1

    def with_another(self, progress_of: int) -> WorkerFailures:
        """Returns the record after another loss, at `progress_of`."""
        return WorkerFailures(1 if progress_of > self.furthest else self.in_a_row + 1, max(progress_of, self.furthest))

    @property
    def too_many(self) -> bool:
        """Returns whether the trial has failed."""
        return self.in_a_row >= MAX_RETRIES

    def plain(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)

    def told(self, last: object) -> str:
        """Returns the error of a trial that lost too many; `last` is the last worker."""
        return (
            f"{self.in_a_row} workers in a row were killed or went silent at the same place, the last one {last}\n"
            "hint: Too little memory is the usual cause: fewer workers, or a smaller micro_batch_size. "
            "The next start of the study tries it again."
        )


def read_failures(attributes: Mapping[str, Any]) -> WorkerFailures:
    """Returns the record among a trial's user attributes."""
    return WorkerFailures(**attributes.get(FAILURES, {}))
