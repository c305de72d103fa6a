"""Stops a trial early: what its validations find goes to Optuna's pruner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.validation import Validator
from cobra_kit.events import Event, Message, Reporter, StageStarted, StepDone
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe.sweep import COSTS, MEAN
from cobra_kit.study.search.pruning import question_number
from cobra_kit.train import Validate
from cobra_kit.trials.optuna_internals import recorded_trial

if TYPE_CHECKING:
    from optuna import Trial


class PruningCallback:
    """Reports a trial's validations and raises `optuna.TrialPruned` where the pruner has seen enough.

    Args:
        trial: The trial as Optuna has it.
        metric: What is sought: a benchmark, or `mean`.
        stage: The last stage of training. Only its validations are comparable: another trial may have trained an
            earlier stage for this one.
        every_steps: Steps between two validations.
        per_question: Report every question by itself, as the Wilcoxon pruner wants it, instead of the accuracy.
    """

    def __init__(self, trial: Trial, metric: str, stage: str, every_steps: int, *, per_question: bool = False) -> None:
        self._trial, self._metric, self._stage, self._per_question = trial, metric, stage, per_question
        self._every = every_steps
        self._step: int | None = None
        # What the trial's earlier worker reported before it was interrupted stands.
        self._known = set(recorded_trial(trial).intermediate_values)

    def watching(self, report: Reporter) -> Reporter:
        """Returns a reporter that also notes the step."""

        def noting(event: Event, /) -> None:
            if isinstance(event, StageStarted) and event.stage == self._stage and event.steps <= self._every:
                text = (
                    f"the pruner never sees this trial: it is validated every {self._every} steps and trained for "
                    f"{event.steps}; lower evaluate.validation.every_steps"
                )
                report(Message(text=text, level="warning"))
            if isinstance(event, StepDone):
                self._step = event.step if event.stage == self._stage else None
            report(event)

        return noting

    def wrap(self, validator: Validator) -> Validate:
        """Returns the validator with the pruner behind it.

        Raises:
            CobraError: The validation has no such benchmark.
        """
        if self._metric not in (*validator.benchmarks, MEAN, *COSTS):
            listed = ", ".join((MEAN, *validator.benchmarks))
            raise CobraError(f"no benchmark named {self._metric!r} to seek", hint=f"There are {listed}.")

        def validate(model: VisionLanguageModel) -> Mapping[str, float]:
            figures = validator(model)
            if self._metric in figures and self._step is not None:
                self._report_validation(self._step, figures[self._metric], validator)
            return figures

        return validate

    def _report_validation(self, step: int, accuracy: float, validator: Validator) -> None:
        from optuna import TrialPruned

        if self._per_question:
            self._report_questions(step, validator)
        else:
            self._report_value(step, accuracy)
        if self._trial.should_prune():
            raise TrialPruned(f"pruned at step {step}: {self._metric} {100 * accuracy:.1f} on validation")

    def _report_questions(self, step: int, validator: Validator) -> None:
        """Reports question by question; equal numbers are the same question after as many looks, in any trial."""
        wanted = validator.latest if self._metric == MEAN else {self._metric: validator.latest[self._metric]}
        scores = [question for name in sorted(wanted) for question in wanted[name]]
        for number, question in enumerate(scores):
            self._report_value(question_number(step, number), question.score)

    def _report_value(self, at: int, value: float) -> None:
        if at not in self._known:
            self._trial.report(value, at)
