"""The task that a kind of training hands to the core (`loop`): what learns, from what, and what is written about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cobra_kit.train.optimiser import OptimisationSettings
from cobra_kit.train.step import NotFiniteError


@dataclass(frozen=True, slots=True)
class StepWork:
    """The work of a task for one step: the loss whose gradients it has added, and the tokens that took.

    Args:
        loss: A detached scalar.
        tokens: Real tokens, padding not counted.
        padded_tokens: Tokens with padding.
    """

    loss: Tensor
    tokens: int
    padded_tokens: int


class TrainingTask(ABC):
    """One kind of training.

    Attributes:
        name: Name of the stage, in events.
        module: The module that holds the parameters; those that learn require gradients by now.
        parameters: The parameters that learn, in the order in which the gradient's norm is summed. It is part of the
            task, since another order rounds otherwise: a run would not repeat earlier ones bit for bit.
        device: The device that random layers draw on.
        settings: Learning rate, warm-up and the like.
        steps: How many optimiser steps it takes.
    """

    name: str
    module: nn.Module
    parameters: Sequence[nn.Parameter]
    device: torch.device
    settings: OptimisationSettings
    steps: int

    @abstractmethod
    def accumulate(self, step: int) -> StepWork:
        """Draws what a step (from 0) learns from, and adds its gradients."""

    @abstractmethod
    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Writes down how training goes; the figures have the names of `metrics.jsonl`."""

    @abstractmethod
    def not_finite(self, error: NotFiniteError, step: int, *, saved: bool) -> Exception:
        """Returns the error that stops training.

        Args:
            error: The error that names what was not finite.
            step: The last good step.
            saved: Whether the weights of that step were saved.
        """

    def position(self) -> dict[str, Any]:
        """Returns where drawing stands, as JSON takes it; empty where that depends on the step alone."""
        return {}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Goes on drawing from what `position` returned."""
        return

    def validate(self, step: int) -> float | None:
        """Returns the figure that the best step is chosen by, modes left as they were; None: there is none."""
        return None
