"""Steps of a search are the decimal numbers that the recipe shows, whatever Optuna's samplers add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from cobra_kit.recipe.sweep import Choice


class DecimalSteps(BaseSampler):
    """A sampler whose values of ranges with steps are decimal: 0.3 and not 0.30000000000000004.

    It stands before the storage: what is recorded, shown, trained and compared is one number.

    Args:
        sampler: The sampler whose suggestions are rounded.
        space: The parameters that are searched over.
    """

    def __init__(self, sampler: BaseSampler, space: Mapping[str, Choice]) -> None:
        self._sampler = sampler
        self._stepped = {
            path: choice for path, choice in space.items() if choice.is_number and choice.count and not choice.is_whole
        }

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns what is suggested together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns values that are suggested together."""
        values = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._decimal(name, value) for name, value in values.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Returns a value that is suggested by itself."""
        value = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._decimal(param_name, value)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tells the sampler that a trial begins."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tells the sampler that a trial has ended."""
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Gives the sampler another seed."""
        self._sampler.reseed_rng()

    def _decimal(self, name: str, value: Any) -> Any:
        choice = self._stepped.get(name)
        return value if choice is None else choice.nearest(float(value))
