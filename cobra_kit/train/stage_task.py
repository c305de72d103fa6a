"""One stage of a vision-language model, as a task of the training core."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cobra_kit.data.prepared import TrainingSet
from cobra_kit.data.sampler import LengthGroupedSampler, SamplerState
from cobra_kit.errors import TrainingError
from cobra_kit.events import Message, Reporter, StageDone, StageStarted, Validated
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.seeding import derive_seed
from cobra_kit.recipe.sections import StageSection
from cobra_kit.recipe.sweep import MEAN
from cobra_kit.train.metrics import Metrics
from cobra_kit.train.mixed_precision import product_dtype
from cobra_kit.train.optimiser import decay_groups
from cobra_kit.train.random_state import seed_everything
from cobra_kit.train.results import StageResult
from cobra_kit.train.stage_progress import StageProgress
from cobra_kit.train.stages import Stage, set_stage
from cobra_kit.train.step import NotFiniteError, accumulate
from cobra_kit.train.task import StepWork, TrainingTask

Validate = Callable[[VisionLanguageModel], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class StageSetup:
    """A stage with its settings and the rows that it learns from.

    Args:
        stage: The stage to train.
        settings: Its section of the recipe.
        rows: The rows that it learns from.
        first_rows: What it begins with, by its curriculum; None without one.
        seed: Seed of the order of rows and of random layers.
    """

    stage: Stage
    settings: StageSection
    rows: TrainingSet
    first_rows: TrainingSet | None
    seed: int


class StageTask(TrainingTask):
    """One stage of one run.

    Args:
        model: The model; it is trained in place.
        setup: The stage, its rows and settings.
        metrics: The file that lines of figures go to.
        validate: Called with the model in eval mode; its figures go to the metrics. None: there is no validation.
        report: Told when the stage begins and ends, and what of the rows is not learnt.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        setup: StageSetup,
        metrics: Metrics,
        validate: Validate | None,
        report: Reporter,
    ) -> None:
        self._model, self._stage, self._rows, self._seed = model, setup.stage, setup.rows, setup.seed
        self._metrics, self._validate, self._report = metrics, validate, report
        self.name, self.module, self.device = setup.stage.name, model, model.device
        self.settings = self._settings = setup.settings
        set_stage(model, setup.stage)  # before the optimiser's groups are made: they hold what requires gradients
        named = dict(model.named_parameters())
        self.parameters = [named[name] for names in decay_groups(model) for name in names]
        self._products = product_dtype(setup.settings.precision, model.device)
        # Each stage seeds anew, so that one goes the same way whether an earlier one ran in this process or elsewhere.
        seed_everything(derive_seed(setup.seed, self.name, "layers"))
        self._sets = (
            {"rows": setup.rows} if setup.first_rows is None else {"rows": setup.rows, "first": setup.first_rows}
        )
        self.restore({})
        epochs, curriculum = setup.settings.epochs or 0, setup.settings.curriculum
        self.steps = setup.settings.steps or math.ceil(epochs * self._samplers["rows"].batches_per_epoch)
        self._first_steps = curriculum.steps_of(self.steps) if curriculum else 0

    def position(self) -> dict[str, Any]:
        """Returns where each sampler stands, as JSON takes it."""
        return {name: asdict(sampler.state) for name, sampler in self._samplers.items()}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Makes samplers that go on from what `position` returned; from the beginning where it names none."""
        order = derive_seed(self._seed, self.name, "rows")
        self._samplers = {
            name: LengthGroupedSampler(
                rows.lengths, self._settings.batch_size, order, SamplerState(**position.get(name, {}))
            )
            for name, rows in self._sets.items()
        }

    def announce(self, progress: StageProgress) -> None:
        """Says what is about to be trained, and what of the rows is not learnt."""
        self._report(StageStarted(stage=self.name, steps=self.steps, step=progress.step, rows=len(self._rows)))
        self._tell_rows(new=progress.step == 0)
        if self._settings.curriculum is not None and self._first_steps in (0, self.steps):
            share = "none" if self._first_steps == 0 else "all"
            text = f"{self.name}: the curriculum's share of {self.steps} steps is {share} of them"
            self._report(Message(text=text, level="warning"))

    def accumulate(self, step: int) -> StepWork:
        """Draws the rows of a step, and adds their gradients, micro-batch by micro-batch."""
        name = "first" if step < self._first_steps else "rows"
        numbers = self._samplers[name].next_batch()
        size = self._settings.micro_batch_size or self._settings.batch_size
        batches = [self._sets[name].batch(numbers[i : i + size]) for i in range(0, len(numbers), size)]
        return StepWork(
            accumulate(self._model, batches, self._products),
            tokens=sum(sum(batch.layout.lengths) for batch in batches),
            padded_tokens=sum(batch.layout.source.numel() for batch in batches),
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Writes a line of metrics."""
        self._metrics.write(stage=self.name, step=step, steps=self.steps, **figures)

    def validate(self, step: int) -> float | None:
        """Validates in eval mode, and writes the figures down."""
        if self._validate is None:
            return None
        self._model.eval()
        figures = dict(self._validate(self._model))
        set_stage(self._model, self._stage)
        self._metrics.write(stage=self.name, step=step, validation=figures)
        self._report(Validated(stage=self.name, step=step, figures=figures))
        return figures.get(MEAN)  # selection goes by the mean over benchmarks

    def not_finite(self, error: NotFiniteError, step: int, *, saved: bool) -> TrainingError:
        """Returns the error that stops the run."""
        kept = "The last checkpoint, of an earlier step, is kept."
        if saved:
            kept = f"The weights of step {step}, the last good ones, are saved."
        rate = f"{self.settings.learning_rate:g}"
        return TrainingError(
            str(error),
            where=f"step {step + 1} of {self.steps} of {self.name}",
            hint=f"{kept}\nTry a learning rate below {rate} (a third of it, say), a longer warm-up (warmup_ratio), "
            "or a smaller max_grad_norm,\nand start over: the same settings would end the same.",
        )

    def result(self, progress: StageProgress, *, keep_best: bool) -> StageResult:
        """Says that the stage is done, and returns what it took.

        Args:
            progress: The progress that the core counted.
            keep_best: Whether the weights of the best validation are taken.
        """
        loss, seconds = progress.last_loss, progress.seconds
        self._report(StageDone(stage=self.name, steps=progress.step, loss=loss, seconds=seconds))
        return StageResult(
            stage=self.name,
            steps=progress.step,
            rows=len(self._rows),
            rejected_rows=self._rows.rejects.total,
            loss=loss,
            seconds=seconds,
            tokens=progress.tokens,
            padded_tokens=progress.padded_tokens,
            selected_step=progress.best_step if keep_best else None,
            **self._rows.cuts.figures(),
            unused_turns=self._rows.unused_turns,
        )

    def _tell_rows(self, *, new: bool) -> None:
        """Says what of the rows is not learnt, and writes it down when the stage begins."""
        rows = self._rows
        rows.cuts.announce(self._report, self.name, rows.rejects.out_of)
        if rows.unused_turns:
            text = f"{self.name}: captions are first answers; {rows.unused_turns:,} later turns are not learnt"
            self._report(Message(text=text))
        seen = min(len(rows), (self.steps - self._first_steps) * self._settings.batch_size)
        if seen < len(rows):
            text = f"{self.name}: {self.steps:,} steps see {seen:,} of {len(rows):,} rows"
            self._report(Message(text=text))
        if not new:
            return
        self._metrics.write(
            stage=self.name,
            step=0,
            steps=self.steps,
            rows=len(rows),
            rejected_rows=rows.rejects.total,
            rows_seen=seen,
            unused_turns=rows.unused_turns,
            **rows.cuts.figures(),
        )
