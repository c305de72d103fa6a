"""What one kind of training hands to the core (`loop`): what learns, from what, and what is written about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from cobra_kit.train.stage_progress import StageProgress
from cobra_kit.train.step import NotFiniteError


class OptimisationSettings(Protocol):
    """How fast something learns; sections of recipes have these keys."""

    @property
    def learning_rate(self) -> float:
        """Returns the highest learning rate."""
        ...

    @property
    def weight_decay(self) -> float:
        """Returns AdamW's decay."""
        ...

    @property
    def betas(self) -> tuple[float, float]:
        """Returns AdamW's decay rates of the moments."""
        ...

    @property
    def warmup_ratio(self) -> float:
        """Returns the share of the steps in which the learning rate rises."""
        ...

    @property
    def final_lr_ratio(self) -> float:
        """Returns the share of the learning rate where the cosine ends."""
        ...

    @property
    def max_grad_norm(self) -> float | None:
        """Returns what longer gradients are scaled down to; None: never."""
        ...


@dataclass(frozen=True, slots=True)
class StepWork:
    """What a task did for one step: the loss whose gradients it has added, and the tokens that took.

    Args:
        loss: A detached scalar.
        tokens: Real tokens.
        padded_tokens: The same with padding.
    """

    loss: Tensor
    tokens: int
    padded_tokens: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What is known about training at a logged step.

    Args:
        step: Optimiser steps so far.
        loss: Mean since the last entry.
        learning_rate: Of this step.
        grad_norm: Of this step, before clipping.
        tokens_per_second: Over the last steps.
        padded_tokens_per_second: The same with padding.
        seconds: Spent in steps, over all processes.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    padded_tokens_per_second: float
    seconds: float


class TrainingTask(Protocol):
    """One kind of training.

    Attributes:
        name: Of the stage, in events.
        device: Where random layers draw.
        steps: How many optimiser steps it takes.
    """

    name: str
    device: torch.device
    steps: int

    @property
    def module(self) -> nn.Module:
        """Returns what holds the parameters; those that learn require gradients by now."""
        ...

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """Returns what learns, in the order in which the gradient's norm is summed.

        It is part of the task, since another order rounds otherwise: a run would not repeat earlier ones bit for bit.
        """
        ...

    @property
    def settings(self) -> OptimisationSettings:
        """Returns how fast it learns."""
        ...

    def begin(self, progress: StageProgress) -> None:
        """Says what is about to be trained; called before the first step of this process."""
        ...

    def accumulate(self, step: int) -> StepWork:
        """Draws what a step (from 0) learns from, and adds its gradients."""
        ...

    def position(self) -> dict[str, Any]:
        """Returns where drawing stands, as JSON takes it; empty where that depends on the step alone."""
        ...

    def restore(self, position: Mapping[str, Any]) -> None:
        """Goes on drawing from what `position` returned."""
        ...

    def log(self, entry: LogEntry) -> None:
        """Writes down how training goes."""
        ...

    def validate(self, step: int) -> float | None:
        """Returns the figure that the best step is chosen by, modes left as they were; None: there is none."""
        ...

    def not_finite(self, error: NotFiniteError, step: int, *, saved: bool) -> Exception:
        """Returns the error that stops training.

        Args:
            error: What was not finite.
            step: The last good step.
            saved: Whether the weights of that step were saved.
        """
        ...

    def end(self, progress: StageProgress) -> None:
        """Says that the last step is done."""
        ...
