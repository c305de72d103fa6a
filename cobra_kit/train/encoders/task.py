"""The pretraining of one encoder, as a task of the training core."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter
from cobra_kit.train.encoders.pixels import Encode
from cobra_kit.train.encoders.recipe import PretrainSection
from cobra_kit.train.loop import TrainIntervals
from cobra_kit.train.step import NotFiniteError
from cobra_kit.train.task import StepWork, TrainingTask

INTERVALS = TrainIntervals(log_steps=100, save_seconds=60.0, report_steps=100)


class EncoderTask(TrainingTask):
    """An encoder with the heads of its objective.

    Images and phrases of a step depend on the seed and the step alone, so there is no position to keep.

    Args:
        module: `encoder` and `objective`.
        encode: Calls the encoder.
        images: The images that it learns from.
        settings: The length and the speed of pretraining.
        report: Told about the terms of the loss.

    Attributes:
        means: Mean of each weighted term over the last hundred steps or so; empty before the first step.
    """

    name = "pretrain"
    device = torch.device("cpu")

    def __init__(
        self,
        module: nn.ModuleDict,
        encode: Encode,
        images: NDArray[np.uint8],
        settings: PretrainSection,
        report: Reporter,
    ) -> None:
        self.module, self.steps = module, settings.steps
        self.settings = self._settings = settings
        # The published weights of the tiny encoders were made with the norm summed in this order.
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._objective = module["objective"]
        self._encode, self._images, self._report = encode, images, report
        self._sums: dict[str, float] = {}
        self._count = 0
        self.means: dict[str, float] = {}

    def accumulate(self, step: int) -> StepWork:
        """Adds the gradients of the images of a step."""
        rows = batch_rows(len(self._images), self._settings, step)
        rng = Random(f"{self._settings.seed}/phrases/{step}")
        tokens = self._encode(np.stack([self._images[row] for row in rows]))
        losses: dict[str, Tensor] = self._objective(tokens, rows, rng)
        loss = torch.stack([*losses.values()]).sum()
        torch.autograd.backward(loss)
        for term, value in losses.items():
            self._sums[term] = self._sums.get(term, 0.0) + value.item()
        self._count += 1
        count = len(rows) * self._encode.grid[0] * self._encode.grid[1]
        return StepWork(loss.detach(), count, count)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Says how large each term of the loss is."""
        self.means = {term: total / self._count for term, total in self._sums.items()}
        terms = ", ".join(f"{term} {mean:.3f}" for term, mean in self.means.items())
        self._report(Message(text=f"step {step:,} of {self.steps:,}: {terms}"))
        self._sums, self._count = {}, 0

    def not_finite(self, error: NotFiniteError, step: int, *, saved: bool) -> CobraError:
        """Returns the error that stops pretraining."""
        return CobraError(f"{error} at step {step + 1}", hint="Try a smaller train.learning_rate.")


def batch_rows(images: int, settings: PretrainSection, step: int) -> NDArray[np.int64]:
    """Returns which images a step sees: every epoch has an order of its own, and a rest too small is left out."""
    size = min(settings.batch_size, images)
    epoch, place = divmod(step, images // size)
    order = np.random.default_rng([settings.seed, epoch]).permutation(images)
    rows: NDArray[np.int64] = order[place * size : (place + 1) * size]
    return rows
