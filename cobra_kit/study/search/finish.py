"""The end of a search: the best trials and the recipe as it stands, scored on the test split once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter
from cobra_kit.recipe.sweep import Scalar
from cobra_kit.report import AblationTable
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.plan.study_plan import RunPlan, StudyPlan
from cobra_kit.study.search.repeats import is_repeat
from cobra_kit.study.search.search_plan import REFERENCE, SearchPlan
from cobra_kit.trials import NAME

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from cobra_kit.study.execution.study_cache import StudyCache
    from cobra_kit.train import TrainIntervals

MOST_WINNERS = 5
"""Of a search with several objectives, that many of the trials that none other beats."""


def winners(study: Study) -> list[FrozenTrial]:
    """Returns the best finished trial; with several objectives, those that none other beats, best in the first one
    first. None if no trial was finished."""
    import optuna

    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not finished:
        return []
    finished = [one for one in finished if not is_repeat(one)]
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    found = finished if len(study.directions) == 1 else [one for one in study.best_trials if not is_repeat(one)]
    ordered = sorted(found, key=lambda one: (sign * one.values[0], one.number))
    return ordered[: 1 if len(study.directions) == 1 else MOST_WINNERS]


def score_winners(
    search: SearchPlan,
    study: Study,
    folder: StudyFolder,
    shared: StudyCache,
    report: Reporter,
    pace: TrainIntervals | None = None,
) -> AblationTable:
    """Trains the reference, asks it and the winners the test questions, and returns their table.

    Called again it repeats nothing.

    Raises:
        CobraError: No trial was finished.
    """
    from cobra_kit.study.execution.run_trial import execute
    from cobra_kit.study.reading.results import study_table, write_table

    best = winners(study)
    if not best:
        raise CobraError(
            "no trial was finished, so there is nothing to compare",
            where=str(folder.path),
            hint="cobra-kit status STUDY shows why each one ended.",
        )
    runs = [search.reference_run, *(_run(search, one) for one in best)]
    for one, run in zip(best, runs[1:], strict=True):
        values = ", ".join(f"{name} {value:.4g}" for name, value in zip(_names(search), one.values, strict=True))
        report(Message(text=f"best on validation: {run.arm} ({values})"))
    for run in runs:
        execute(run, folder, shared, report=report, pace=pace)
    folder.note(arms=[one.arm for one in runs])
    table = study_table(StudyPlan(search.resolved, REFERENCE, tuple(runs)), folder)
    write_table(folder, table)
    return table


def _run(search: SearchPlan, trial: FrozenTrial) -> RunPlan:
    values: dict[str, Scalar] = {path: trial.params[path] for path in search.sweep.space if path in trial.params}
    return search.run(str(trial.user_attrs[NAME]), values)


def _names(search: SearchPlan) -> list[str]:
    return [one.metric for one in search.sweep.objectives]
