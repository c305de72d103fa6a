"""The results that training leaves behind, beside the weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageResult:
    """One finished stage. JSON-able by `asdict`.

    Args:
        stage: Name of the stage.
        steps: How many optimiser steps it took.
        rows: Training rows, without those left out.
        rejected_rows: Rows that were left out.
        loss: Mean per supervised token over the last logged stretch of steps.
        seconds: Spent in steps, over all processes; validation and saving are not counted.
        tokens: Real tokens that went through the model, padding not counted.
        padded_tokens: Tokens that went through it with padding.
        selected_step: The step whose weights were kept by validation; None: the last step's, unasked.
        cut_rows: Rows of which the backbone's longest text cut a part, those left out for it included.
        cut_tokens: Text tokens that were cut from them.
        cut_supervised_tokens: How many of those would have carried loss.
        supervised_tokens: Tokens that carry loss in one pass over the rows, before the cut.
        unused_turns: Turns of which a stage of captions learns nothing.
    """

    stage: str
    steps: int
    rows: int
    rejected_rows: int
    loss: float
    seconds: float
    tokens: int
    padded_tokens: int
    selected_step: int | None = None
    cut_rows: int = 0
    cut_tokens: int = 0
    cut_supervised_tokens: int = 0
    supervised_tokens: int = 0
    unused_turns: int = 0

    @property
    def padding_share(self) -> float:
        """Returns which share of all positions was padding."""
        return 1 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Returns real tokens per second."""
        return self.tokens / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training run.

    Args:
        stages: The result of each stage, in order.
        resumed_at: `stage/step` where this process took over; None if it did everything.
    """

    stages: tuple[StageResult, ...]
    resumed_at: str | None = None

    @property
    def seconds(self) -> float:
        """Returns the seconds spent in steps of all stages."""
        return sum(stage.seconds for stage in self.stages)
