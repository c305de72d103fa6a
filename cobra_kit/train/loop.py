"""One stage of training: draw, step, log, validate, save, until the last step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cobra_kit.data.prepared import TrainingSet
from cobra_kit.data.sampler import LengthGroupedSampler, SamplerState
from cobra_kit.errors import TrainingError
from cobra_kit.events import Message, Reporter, StageDone, StageStarted, StepDone
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.seeding import derive_seed
from cobra_kit.recipe.sections import StageSection
from cobra_kit.train.checkpoint import Checkpoint
from cobra_kit.train.interrupt import Interrupt
from cobra_kit.train.metrics import Metrics
from cobra_kit.train.mixed_precision import product_dtype
from cobra_kit.train.optimiser import load_optimiser_tensors, make_optimiser, optimiser_tensors
from cobra_kit.train.random_state import load_random_state, random_state
from cobra_kit.train.results import StageResult
from cobra_kit.train.schedule import learning_rate_factor
from cobra_kit.train.stage_progress import StageProgress, Throughput
from cobra_kit.train.stages import Stage, set_stage
from cobra_kit.train.step import NotFiniteError, StepOutcome, optimiser_step

Validate = Callable[[VisionLanguageModel], Mapping[str, float]]
Save = Callable[[Stage, int, Mapping[str, Tensor], Mapping[str, Any]], None]

MEAN = "mean"
"""The figure of a validation that selection goes by."""

_MOST_TIME_SAVING = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainIntervals:
    """How often a stage does what is not training.

    Args:
        log_steps: Steps between two lines of metrics.
        save_seconds: Seconds between two checkpoints, more where saving itself takes long; 0: after every step.
        validate_steps: Steps between two validations.
        keep_best: End with the weights of the best validation, not of the last step.
    """

    log_steps: int = 10
    save_seconds: float = 20.0
    validate_steps: int | None = None
    keep_best: bool = False


class StageLoop:
    """One stage of one run.

    Args:
        model: The model; it is trained in place.
        stage: What to train.
        settings: How.
        rows: On what.
        first_rows: On what the stage begins, by its curriculum; None without one.
        seed: Of the order of rows and of random layers.
        metrics: Where the lines go.
        save: Writes a checkpoint: stage, step, tensors, state.
        report: Told about every step.
        pace: How often to log, save and validate.
        validate: Called with the model in eval mode; its figures go to the metrics.
        resume: A checkpoint of this very stage, if there is one; the model's weights are loaded already.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        stage: Stage,
        settings: StageSection,
        rows: TrainingSet,
        first_rows: TrainingSet | None,
        *,
        seed: int,
        metrics: Metrics,
        save: Save,
        report: Reporter,
        pace: TrainIntervals,
        validate: Validate | None,
        resume: Checkpoint | None,
    ) -> None:
        self._model, self._stage, self._settings, self._rows = model, stage, settings, rows
        self._metrics, self._save_to, self._report = metrics, save, report
        self._pace, self._validate = pace, validate
        set_stage(model, stage)
        self._products = product_dtype(settings.precision, model.device)
        self._optimiser = make_optimiser(model, settings)
        self._tally, self._speed = StageProgress(), Throughput()
        positions: dict[str, SamplerState] = {}
        torch.manual_seed(derive_seed(seed, stage.name, "layers"))
        if resume is not None:
            self._tally = StageProgress(**resume.state["tally"])
            positions = {name: SamplerState(**at) for name, at in resume.state["samplers"].items()}
            load_optimiser_tensors(model, self._optimiser, _below("optimiser/", resume.tensors))
            load_random_state(_below("random/", resume.tensors))
        order = derive_seed(seed, stage.name, "rows")
        sets = {"rows": rows} if first_rows is None else {"rows": rows, "first": first_rows}
        self._sets = {
            name: (one, LengthGroupedSampler(one.lengths, settings.batch_size, order, positions.get(name)))
            for name, one in sets.items()
        }
        self.steps = settings.steps or math.ceil((settings.epochs or 0) * self._sets["rows"][1].batches_per_epoch)
        self._first_steps = settings.curriculum.steps_of(self.steps) if settings.curriculum else 0
        self._positions, self._random = self._where(), random_state(model.device)
        self._saved_at, self._save_cost = time.monotonic(), 0.0

    def run(self, interrupt: Interrupt) -> StageResult | None:
        """Returns the result of the finished stage, or None if it was interrupted (and saved).

        Args:
            interrupt: Whether to stop after the current step.

        Raises:
            TrainingError: The loss is not finite, or something cannot be written.
        """
        done = self._tally
        self._report(StageStarted(stage=self._stage.name, steps=self.steps, step=done.step, rows=len(self._rows)))
        self._tell_rows(new=done.step == 0)
        if self._settings.curriculum is not None and self._first_steps in (0, self.steps):
            share = "none" if self._first_steps == 0 else "all"
            text = f"{self._stage.name}: the curriculum's share of {self.steps} steps is {share} of them"
            self._report(Message(text=text, level="warning"))
        while done.step < self.steps:
            outcome = self._step()
            last = done.step == self.steps
            if done.step % self._pace.log_steps == 0 or last:
                self._log(outcome)
            every = self._pace.validate_steps
            if self._validate is not None and every is not None and (done.step % every == 0 or last):
                self._look(self._validate)
            if interrupt.requested() and not last:
                self._save()
                return None
            if not last and self._save_is_due():
                self._save()
        self._report(StageDone(stage=self._stage.name, steps=done.step, loss=done.last_loss, seconds=done.seconds))
        return StageResult(
            stage=self._stage.name,
            steps=done.step,
            rows=len(self._rows),
            rejected_rows=self._rows.rejects.total,
            loss=done.last_loss,
            seconds=done.seconds,
            tokens=done.tokens,
            padded_tokens=done.padded_tokens,
            selected_step=done.best_step if self._pace.keep_best else None,
            **self._rows.cuts.figures(),
            unused_turns=self._rows.unused_turns,
        )

    def _tell_rows(self, *, new: bool) -> None:
        """Says what of the rows is not learnt, and writes it down when the stage begins."""
        rows = self._rows
        rows.cuts.announce(self._report, self._stage.name, rows.rejects.out_of)
        if rows.unused_turns:
            text = f"{self._stage.name}: captions are first answers; {rows.unused_turns:,} later turns are not learnt"
            self._report(Message(text=text))
        seen = min(len(rows), (self.steps - self._first_steps) * self._settings.batch_size)
        if seen < len(rows):
            text = f"{self._stage.name}: {self.steps:,} steps see {seen:,} of {len(rows):,} rows"
            self._report(Message(text=text))
        if not new:
            return
        self._metrics.write(
            stage=self._stage.name,
            step=0,
            steps=self.steps,
            rows=len(rows),
            rejected_rows=rows.rejects.total,
            rows_seen=seen,
            unused_turns=rows.unused_turns,
            **rows.cuts.figures(),
        )

    def _step(self) -> StepOutcome:
        started = time.monotonic()
        settings = self._settings
        rows, sampler = self._sets["first" if self._tally.step < self._first_steps else "rows"]
        batch = sampler.next_batch()
        size = settings.micro_batch_size or settings.batch_size
        batches = [rows.batch(batch[i : i + size]) for i in range(0, len(batch), size)]
        factor = learning_rate_factor(
            self._tally.step,
            steps=self.steps,
            warmup_ratio=settings.warmup_ratio,
            final_ratio=settings.final_lr_ratio,
        )
        self._rate = settings.learning_rate * factor
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate
        try:
            outcome = optimiser_step(self._model, batches, self._optimiser, settings.max_grad_norm, self._products)
        except NotFiniteError as error:
            raise self._not_finite(error) from error
        self._positions, self._random = self._where(), random_state(self._model.device)
        tokens = sum(sum(b.layout.lengths) for b in batches)
        padded = sum(b.layout.source.numel() for b in batches)
        seconds = time.monotonic() - started
        self._tally.add(outcome.loss, tokens, padded, seconds)
        self._speed.add(tokens, padded, seconds)
        self._report(
            StepDone(
                stage=self._stage.name,
                step=self._tally.step,
                steps=self.steps,
                loss=outcome.loss,
                tokens_per_second=self._speed.rates()[0],
                seconds_left=(self.steps - self._tally.step) * self._speed.seconds_per_step(),
            )
        )
        return outcome

    def _where(self) -> dict[str, dict[str, int]]:
        """Returns where each sampler stands, as JSON takes it."""
        return {name: asdict(sampler.state) for name, (_, sampler) in self._sets.items()}

    def _log(self, outcome: StepOutcome) -> None:
        rate, padded_rate = self._speed.rates()
        self._metrics.write(
            stage=self._stage.name,
            step=self._tally.step,
            steps=self.steps,
            loss=self._tally.mean_loss(),
            learning_rate=self._rate,
            grad_norm=outcome.grad_norm,
            tokens_per_second=round(rate, 1),
            padded_tokens_per_second=round(padded_rate, 1),
            seconds=round(self._tally.seconds, 3),
        )

    def _look(self, validate: Validate) -> None:
        """Validates, and leaves modes and random state as they were: validation must not change the training."""
        self._model.eval()
        figures = dict(validate(self._model))
        set_stage(self._model, self._stage)
        load_random_state(self._random)
        self._metrics.write(stage=self._stage.name, step=self._tally.step, validation=figures)
        last = self._tally.step == self.steps
        if self._pace.keep_best and self._tally.is_best(figures[MEAN]) and not last:
            self._save()  # this checkpoint is kept until the stage ends

    def _save_is_due(self) -> bool:
        wait = self._pace.save_seconds
        if wait > 0:
            wait = max(wait, self._save_cost / _MOST_TIME_SAVING)
        return time.monotonic() - self._saved_at >= wait

    def _save(self) -> None:
        started = time.monotonic()
        tensors = {f"optimiser/{n}": t for n, t in optimiser_tensors(self._model, self._optimiser).items()}
        tensors |= {f"random/{n}": t for n, t in self._random.items()}
        state = {"tally": asdict(self._tally), "samplers": self._positions}
        self._save_to(self._stage, self._tally.step, tensors, state)
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - started

    def _not_finite(self, error: NotFiniteError) -> TrainingError:
        """Saves the weights as they were before the step, and returns the error that stops the run."""
        kept = "The last checkpoint, of an earlier step, is kept."
        # A forward pass may already have spoilt running statistics; then the checkpoint there is stays the last.
        if all(bool(t.isfinite().all()) for t in self._model.state_dict().values() if t.is_floating_point()):
            self._save()
            kept = f"The weights of step {self._tally.step}, the last good ones, are saved."
        rate = f"{self._settings.learning_rate:g}"
        return TrainingError(
            str(error),
            where=f"step {self._tally.step + 1} of {self.steps} of {self._stage.name}",
            hint=f"{kept}\nTry a learning rate below {rate} (a third of it, say), a longer warm-up (warmup_ratio), "
            "or a smaller max_grad_norm,\nand start over: the same settings would end the same.",
        )


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
