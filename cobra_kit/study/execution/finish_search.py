"""The end of a search: the best trials and the recipe as it stands, scored on the test split once."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter
from cobra_kit.names import path_word
from cobra_kit.recipe.sweep import Scalar
from cobra_kit.report import AblationTable
from cobra_kit.study.execution.open_folder import note_facts
from cobra_kit.study.plan.study_plan import RunPlan, StudyPlan
from cobra_kit.study.search.repeats import is_repeat
from cobra_kit.study.search.search_plan import REFERENCE, SearchPlan
from cobra_kit.trials import trial_name

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from cobra_kit.study.execution.study_cache import StudyCache
    from cobra_kit.train import TrainIntervals

MOST_WINNERS = 5
"""Of a search with several objectives, that many of the trials that none other beats."""


def winners(study: Study) -> list[FrozenTrial]:
    """Returns the best finished trial, or with several objectives those that none other beats.

    The best in the first objective comes first, and of equal ones the earlier, so that everybody who finishes a search
    makes the same table. A trial that took over another's values is left out: the other stands for both.
    """
    import optuna

    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not finished:
        return []
    finished = [trial for trial in finished if not is_repeat(trial)]
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    several = len(study.directions) > 1
    best = [trial for trial in study.best_trials if not is_repeat(trial)] if several else finished
    ordered = sorted(best, key=lambda trial: (sign * trial.values[0], trial.number))
    return ordered[: MOST_WINNERS if several else 1]


def score_winners(
    search: SearchPlan,
    study: Study,
    cache: StudyCache,
    report: Reporter,
    pace: TrainIntervals | None = None,
) -> AblationTable:
    """Trains the reference, asks it and the winners the test questions, and returns their table.

    Called again it repeats nothing.

    Raises:
        CobraError: No trial was finished.
    """
    from cobra_kit.study.execution.run_trial import run_trial
    from cobra_kit.study.execution.write_results import write_table
    from cobra_kit.study.reading.results import study_table

    folder = cache.folder
    best = winners(study)
    if not best:
        raise CobraError(
            "no trial was finished, so there is nothing to compare",
            where=str(folder.path),
            hint=f"{shlex.join(['cobra-kit', 'status', path_word(folder.path)])} shows why each one ended.",
        )
    runs = [search.reference_run, *(_run(search, trial) for trial in best)]
    for trial, run in zip(best, runs[1:], strict=True):
        values = ", ".join(f"{name} {value:.4g}" for name, value in zip(_names(search), trial.values, strict=True))
        report(Message(text=f"best on validation: {run.arm} ({values})"))
    for run in runs:
        run_trial(run, cache, report, pace=pace)
    note_facts(folder, arms=[run.arm for run in runs])
    table = study_table(StudyPlan(search.resolved, REFERENCE, tuple(runs)), folder)
    write_table(folder, table)
    return table


def _run(search: SearchPlan, trial: FrozenTrial) -> RunPlan:
    values: dict[str, Scalar] = {path: trial.params[path] for path in search.sweep.space if path in trial.params}
    return search.run(trial_name(trial), values)


def _names(search: SearchPlan) -> list[str]:
    return [objective.metric for objective in search.sweep.objectives]
