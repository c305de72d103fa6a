"""A search as its report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cobra_kit.events import Reporter, silent
from cobra_kit.report.sweep import Objective, SweepView, Trial, TrialState
from cobra_kit.study.reading.at_work import is_abandoned
from cobra_kit.study.reading.status import RUNNING, state_of
from cobra_kit.study.reading.stored_study import StoredStudy
from cobra_kit.study.reading.stored_trials import stored_trials
from cobra_kit.trials import ERROR, NAME, REASON
from cobra_kit.trials.lease import read_lease
from cobra_kit.trials.optuna_internals import suppress_experimental_warnings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_METHOD, _FEWEST_TRIALS = "PED-ANOVA", 10
_PER_QUESTION = "wilcoxon"
"""A pruner that looks at single questions: what is reported to it is no curve."""


def sweep_view(study: StoredStudy, storage: str | None = None, report: Reporter = silent) -> SweepView | None:
    """Returns a search's trials and what they say about its parameters; None if the study is no search.

    Args:
        study: The study that may be a search.
        storage: URL of the database that has its trials, if the user gave one.
        report: Told that a database is waited for.

    Raises:
        CobraError: Its trials cannot be reached from here.
    """
    section: dict[str, Any] | None = study.recipe.get("sweep")
    if not section:
        return None
    recorded = stored_trials(study, storage, command="report", report=report)
    objectives = tuple(
        Objective(name=name, direction="maximize" if direction.name == "MAXIMIZE" else "minimize")
        for name, direction in zip(recorded.metric_names or [], recorded.directions, strict=True)
    )
    pruner = (section.get("pruner") or {}).get("use", "")
    importances = _importances(recorded, objectives)
    return SweepView(
        objectives=objectives,
        trials=tuple(
            _trial(trial, study, curve=pruner != _PER_QUESTION)
            for trial in recorded.get_trials(deepcopy=False)
            if NAME in trial.user_attrs
        ),
        importances=importances,
        importance_method=_METHOD if importances else "",
        sampler=str(section["sampler"]["use"]),
        pruner=pruner,
    )


def _trial(trial: FrozenTrial, study: StoredStudy, *, curve: bool) -> Trial:
    lease = read_lease(trial.user_attrs)
    begun, ended = trial.datetime_start, trial.datetime_complete
    state: TrialState = state_of(trial)
    if state == RUNNING and is_abandoned(trial, study.folder, str(trial.user_attrs[NAME])):
        state = "stopped"
    return Trial(
        number=trial.number,
        state=state,
        parameters=dict(trial.params),
        values=tuple(trial.values or ()) if state == "complete" else (),
        intermediate=dict(trial.intermediate_values) if curve else {},
        seconds=(ended - begun).total_seconds() if begun and ended else None,
        worker=str(lease.owner) if lease else "",
        error=str(trial.user_attrs.get(ERROR) or trial.user_attrs.get(REASON) or ""),
    )


def _importances(study: Study, objectives: tuple[Objective, ...]) -> dict[str, dict[str, float]]:
    """Returns each objective's importances; none where there are too few trials to say."""
    import optuna

    importances: dict[str, dict[str, float]] = {}
    if len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))) < _FEWEST_TRIALS:
        return importances
    for index, objective in enumerate(objectives):
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()

        sign = -1.0 if objective.direction == "maximize" else 1.0  # the evaluator takes less for better

        def value(trial: FrozenTrial, index: int = index, sign: float = sign) -> float:
            return sign * float(trial.values[index])

        try:
            with suppress_experimental_warnings():
                shares = optuna.importance.get_param_importances(
                    study, evaluator=evaluator, target=value if len(objectives) > 1 else None
                )
        except (ValueError, RuntimeError):  # Optuna: the trials are all alike
            continue
        importances[objective.name] = {name: float(share) for name, share in shares.items()}
    return importances
