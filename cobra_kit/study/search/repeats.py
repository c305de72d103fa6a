"""A point that is suggested again: it would train to the same weights, so what the earlier trial found stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cobra_kit.study.trial_attributes import REPEATS

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial


def finished_before(trial: Trial) -> FrozenTrial | None:
    """Returns the first finished trial with the same values, or None.

    One that was pruned says less than its values would, so a point that repeats it runs.
    """
    study: Study = trial.study
    for earlier in study.get_trials(deepcopy=False):
        if earlier.state.name == "COMPLETE" and earlier.params == trial.params and not is_repeat(earlier):
            return earlier
    return None


def is_repeat(trial: FrozenTrial) -> bool:
    """Returns whether a trial took over what another found."""
    return REPEATS in trial.user_attrs
