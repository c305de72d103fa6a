"""Stops a trial early: what its validations find goes to Optuna's pruner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.validation import Validator
from cobra_kit.events import Event, Reporter, StepDone
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe.sweep import COSTS, MEAN
from cobra_kit.train import Validate

if TYPE_CHECKING:
    from optuna import Trial

_QUESTIONS_PER_LOOK = 1_000_000


class TrialJudge:
    """Reports a trial's validations and raises `optuna.TrialPruned` where the pruner has seen enough.

    Args:
        trial: Optuna's trial.
        metric: What is sought: a benchmark, or `mean`.
        per_question: Report every question by itself, as the Wilcoxon pruner wants it, instead of the accuracy.
    """

    def __init__(self, trial: Trial, metric: str, *, per_question: bool = False) -> None:
        self._trial, self._metric, self._per_question = trial, metric, per_question
        self._step = 0

    def watching(self, report: Reporter) -> Reporter:
        """Returns a reporter that also notes the step."""

        def noting(event: Event, /) -> None:
            if isinstance(event, StepDone):
                self._step = event.step
            report(event)

        return noting

    def listening(self, validator: Validator) -> Validate:
        """Returns the validator with the pruner behind it.

        Raises:
            CobraError: The validation has no such benchmark.
        """
        if self._metric not in (*validator.benchmarks, MEAN, *COSTS):
            listed = ", ".join((MEAN, *validator.benchmarks))
            raise CobraError(f"no benchmark named {self._metric!r} to seek", hint=f"There are {listed}.")

        def look(model: VisionLanguageModel) -> Mapping[str, float]:
            figures = validator(model)
            if self._metric in figures:
                self._told(figures[self._metric], validator)
            return figures

        return look

    def _told(self, accuracy: float, validator: Validator) -> None:
        from optuna import TrialPruned

        if self._per_question:
            self._told_each(validator)
        else:
            self._trial.report(accuracy, self._step)
        if self._trial.should_prune():
            raise TrialPruned(f"pruned at step {self._step}: {self._metric} {100 * accuracy:.1f} on validation")

    def _told_each(self, validator: Validator) -> None:
        """Reports question by question; equal numbers are the same question after as many looks, in any trial."""
        look = self._step * _QUESTIONS_PER_LOOK
        wanted = validator.latest if self._metric == MEAN else {self._metric: validator.latest[self._metric]}
        scores = [one for name in sorted(wanted) for one in wanted[name]]
        for number, one in enumerate(scores):
            self._trial.report(one.score, look + number)
