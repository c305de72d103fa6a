"""A sweep as a report shows it: plain trials and numbers, whatever engine made them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cobra_kit.report.plots import Direction

TrialState = Literal["complete", "pruned", "infeasible", "failed", "running", "stopped", "waiting"]
Parameter = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A quantity that is searched for.

    Args:
        name: Such as `presence` or `tokens per second`.
        direction: Whether smaller or larger values are better.
    """

    name: str
    direction: Direction

    def better(self, value: float, other: float) -> bool:
        """Returns whether the first value is better than the second."""
        return value > other if self.direction == "maximize" else value < other


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial of a sweep.

    Args:
        number: The trial's number, counted from 0.
        state: What became of it; `infeasible` was pruned before it cost anything.
        parameters: What was chosen; a parameter that does not exist for these choices is absent.
        values: Per objective, in the sweep's order; empty unless the trial is complete.
        intermediate: Step to the value reported there, of the first objective.
        seconds: How long it ran; None where it has not begun.
        worker: Who ran it; may be empty.
        error: Why it failed, or why it is infeasible; may be empty.
    """

    number: int
    state: TrialState
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    intermediate: Mapping[int, float] = field(default_factory=dict)
    seconds: float | None = None
    worker: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepView:
    """A sweep as its page shows it.

    Args:
        objectives: What is searched for, at least one.
        trials: The trials in the order of their numbers.
        importances: Objective to parameter to importance, 0 to 1, by `importance_method`; objectives may be missing.
        importance_method: Who worked them out, such as `fANOVA`.
        sampler: Name of the sampler.
        pruner: Name of the pruner; empty for none.
    """

    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    importances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    importance_method: str = ""
    sampler: str = ""
    pruner: str = ""

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The trials with a finite value for every objective."""
        return tuple(
            trial
            for trial in self.trials
            if trial.state == "complete"
            and len(trial.values) == len(self.objectives)
            and all(math.isfinite(value) for value in trial.values)
        )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Every parameter that some trial has, in the order of first use."""
        return tuple(dict.fromkeys(name for trial in self.trials for name in trial.parameters))

    def best(self, index: int = 0) -> Trial | None:
        """Returns the first trial that is best in an objective; None where no trial is complete."""
        best: Trial | None = None
        for trial in self.complete:
            if best is None or self.objectives[index].better(trial.values[index], best.values[index]):
                best = trial
        return best
