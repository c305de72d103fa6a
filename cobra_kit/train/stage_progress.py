"""Counts of a stage that survive a restart, and the speed of its last steps, which does not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_RECENT = 50


@dataclass(slots=True)
class StageProgress:
    """The progress of a stage so far. JSON-able by `asdict`.

    Args:
        step: How many optimiser steps are done.
        seconds: Seconds spent in them.
        tokens: Real tokens read, padding not counted.
        padded_tokens: Tokens read with padding.
        loss_sum: Sum of the losses since the last logged step.
        loss_count: How many losses that sum has.
        last_loss: Mean loss of the last logged stretch.
        best_accuracy: Highest mean accuracy of a look at the validation split, 0 to 1; None before the first.
        best_step: The step after which that was.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    padded_tokens: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    last_loss: float = 0.0
    best_accuracy: float | None = None
    best_step: int | None = None

    def add(self, loss: float, tokens: int, padded_tokens: int, seconds: float) -> None:
        """Counts one step."""
        self.step += 1
        self.seconds += seconds
        self.tokens += tokens
        self.padded_tokens += padded_tokens
        self.loss_sum += loss
        self.loss_count += 1

    def is_best(self, accuracy: float) -> bool:
        """Notes the accuracy after this step, and returns whether it is the highest so far; a tie is not."""
        if self.best_accuracy is not None and accuracy <= self.best_accuracy:
            return False
        self.best_accuracy, self.best_step = accuracy, self.step
        return True

    def mean_loss(self) -> float:
        """Returns the mean loss since the last call and starts anew."""
        if self.loss_count:
            self.last_loss = self.loss_sum / self.loss_count
        self.loss_sum, self.loss_count = 0.0, 0
        return self.last_loss


class Throughput:
    """Tokens per second over the last steps of this process."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int, float]] = deque(maxlen=_RECENT)

    def add(self, tokens: int, padded_tokens: int, seconds: float) -> None:
        """Counts one step."""
        self._recent.append((tokens, padded_tokens, seconds))

    def rates(self) -> tuple[float, float]:
        """Returns tokens per second without and with padding."""
        # Before the first step there are neither tokens nor seconds.
        seconds = sum(entry[2] for entry in self._recent) or 1.0
        return sum(entry[0] for entry in self._recent) / seconds, sum(entry[1] for entry in self._recent) / seconds

    def seconds_per_step(self) -> float:
        """Returns the mean duration of a step."""
        return sum(entry[2] for entry in self._recent) / max(1, len(self._recent))
