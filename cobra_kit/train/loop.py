"""The training core: step, log, validate, save, until the last step. What is trained is a task handed to it.

A stage of a vision-language model (`stage_task`) and the pretraining of a small encoder (`encoders.task`) are such
tasks; optimiser, schedule, resume, logging and the check that all is finite are the same for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cobra_kit.events import Reporter, StepDone
from cobra_kit.train.interrupt import Interrupt
from cobra_kit.train.loop_state import LoopState
from cobra_kit.train.optimiser import load_optimiser_tensors, make_optimiser, optimiser_tensors
from cobra_kit.train.random_state import load_random_state, random_state
from cobra_kit.train.schedule import learning_rate_factor
from cobra_kit.train.stage_progress import StageProgress, Throughput
from cobra_kit.train.step import NotFiniteError, StepOutcome, update
from cobra_kit.train.task import TrainingTask

Save = Callable[[LoopState], None]

_MOST_TIME_SAVING = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainIntervals:
    """The intervals at which training does what is not training.

    Args:
        log_steps: Steps between two lines of metrics.
        save_seconds: Seconds between two checkpoints, more where saving itself takes long; 0: after every step.
        validate_steps: Steps between two validations.
        keep_best: End with the weights of the best validation, not of the last step.
        report_steps: Steps between two events.
    """

    log_steps: int = 10
    save_seconds: float = 20.0
    validate_steps: int | None = None
    keep_best: bool = False
    report_steps: int = 1


class TrainingLoop:
    """The steps of one task.

    Args:
        task: What is trained, in place.
        intervals: How often to log, save and validate.
        report: Told about steps.
        save: Writes a checkpoint; None: nothing is saved.
        resume: Where an earlier process stopped; the weights are loaded already.

    Attributes:
        progress: How far the stage is.
    """

    def __init__(
        self,
        task: TrainingTask,
        intervals: TrainIntervals,
        *,
        report: Reporter,
        save: Save | None = None,
        resume: LoopState | None = None,
    ) -> None:
        self._task, self._intervals, self._report, self._save_to = task, intervals, report, save
        self._optimiser = make_optimiser(task.module, task.settings)
        self.progress, self._throughput = StageProgress(), Throughput()
        self._unreported: list[float] = []
        if resume is not None:
            self.progress = resume.progress
            task.restore(resume.position)
            load_optimiser_tensors(task.module, self._optimiser, resume.optimiser)
            if resume.random:
                load_random_state(resume.random)
        self._note_position()
        self._saved_at, self._save_cost = time.monotonic(), 0.0

    def run(self, interrupt: Interrupt) -> bool:
        """Returns whether the last step was made; False if it was interrupted (and saved).

        Args:
            interrupt: Whether to stop after the current step.

        Raises:
            CobraError: The loss is not finite, or something cannot be written.
        """
        task, intervals, progress = self._task, self._intervals, self.progress
        while progress.step < task.steps:
            rate = self._set_learning_rate()
            outcome = self._step()
            last = progress.step == task.steps
            if progress.step % intervals.report_steps == 0 or last:
                self._report_step(rate)
            if progress.step % intervals.log_steps == 0 or last:
                self._log(outcome, rate)
            every = intervals.validate_steps
            if every is not None and (progress.step % every == 0 or last):
                self._validate()
            if interrupt.requested() and not last:  # after the last step the caller saves the end of the stage itself
                self._save()
                return False
            if not last and self._save_is_due():
                self._save()
        return True

    def updated_parameters(self) -> frozenset[str]:
        """Returns the names of the module's parameters that a gradient has reached."""
        named = self._task.module.named_parameters()
        return frozenset(name for name, parameter in named if parameter in self._optimiser.state)

    def _set_learning_rate(self) -> float:
        settings = self._task.settings
        rate = settings.learning_rate * learning_rate_factor(
            self.progress.step,
            steps=self._task.steps,
            warmup_ratio=settings.warmup_ratio,
            final_ratio=settings.final_lr_ratio,
        )
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _step(self) -> StepOutcome:
        started = time.monotonic()
        task = self._task
        self._optimiser.zero_grad(set_to_none=True)
        work = task.accumulate(self.progress.step)
        try:
            norm = task.settings.max_grad_norm
            outcome = update(task.module, task.parameters, work.loss, self._optimiser, norm)
        except NotFiniteError as error:
            raise self._not_finite(error) from error
        self._note_position()
        seconds = time.monotonic() - started
        self.progress.add(outcome.loss, work.tokens, work.padded_tokens, seconds)
        self._throughput.add(work.tokens, work.padded_tokens, seconds)
        self._unreported.append(outcome.loss)
        return outcome

    def _note_position(self) -> None:
        """Notes where drawing and randomness stand after a step: one that fails has drawn already when it is saved."""
        self._position, self._random = self._task.position(), random_state(self._task.device)

    def _report_step(self, rate: float) -> None:
        left = self._task.steps - self.progress.step
        self._report(
            StepDone(
                stage=self._task.name,
                step=self.progress.step,
                steps=self._task.steps,
                loss=sum(self._unreported) / len(self._unreported),
                tokens_per_second=self._throughput.rates()[0],
                seconds_left=left * self._throughput.seconds_per_step(),
                learning_rate=rate,
            )
        )
        self._unreported.clear()

    def _log(self, outcome: StepOutcome, rate: float) -> None:
        speed, padded_speed = self._throughput.rates()
        figures = {
            "loss": self.progress.mean_loss(),
            "learning_rate": rate,
            "grad_norm": outcome.grad_norm,
            "tokens_per_second": round(speed, 1),
            "padded_tokens_per_second": round(padded_speed, 1),
            "seconds": round(self.progress.seconds, 3),
        }
        self._task.log(self.progress.step, figures)

    def _validate(self) -> None:
        """Validates, and leaves the random state as it was: validation must not change the training."""
        accuracy = self._task.validate(self.progress.step)
        load_random_state(self._random)
        if accuracy is None or not self._intervals.keep_best:
            return
        if self.progress.is_best(accuracy) and self.progress.step < self._task.steps:
            self._save()  # this checkpoint is kept until the stage ends

    def _save_is_due(self) -> bool:
        wait = self._intervals.save_seconds
        if wait > 0:
            wait = max(wait, self._save_cost / _MOST_TIME_SAVING)
        return time.monotonic() - self._saved_at >= wait

    def _save(self) -> None:
        if self._save_to is None:
            return
        started = time.monotonic()
        tensors = optimiser_tensors(self._task.module, self._optimiser)
        self._save_to(LoopState(self.progress, self._position, tensors, self._random))
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - started

    def _not_finite(self, error: NotFiniteError) -> Exception:
        """Saves the weights as they were before the step, and returns the error that stops the run."""
        # A forward pass may already have spoilt running statistics; then the checkpoint there is stays the last.
        state = self._task.module.state_dict().values()
        good = all(bool(tensor.isfinite().all()) for tensor in state if tensor.is_floating_point())
        if good:
            self._save()
        return self._task.not_finite(error, self.progress.step, saved=good and self._save_to is not None)
