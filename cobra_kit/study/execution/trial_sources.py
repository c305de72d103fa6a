"""The sources of a study's trials: the cells of a grid of arms and seeds, or the points of a search."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError, DamagedFile, RecipeError
from cobra_kit.events import Reporter, for_arm
from cobra_kit.names import path_word
from cobra_kit.recipe.sweep import Direction
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.plan.study_plan import RunPlan, StudyPlan
from cobra_kit.study.reading.stored_files import read_training
from cobra_kit.study.search import GRID, grid, make_pruner, make_sampler, suggest
from cobra_kit.study.search.agree import check_objectives, remarks
from cobra_kit.study.search.pruning import PER_QUESTION
from cobra_kit.study.search.search_plan import SearchPlan
from cobra_kit.study.trial_attributes import NOT_EVALUATED, REPEATS, RUN
from cobra_kit.trials import NAME, Infeasible, LeasedTrial, TrialSpec, trial_name
from cobra_kit.trials.queue import FOREIGN_HINT

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from cobra_kit.report import AblationTable
    from cobra_kit.study.execution.study_cache import StudyCache
    from cobra_kit.train import TrainIntervals


class GridTrials:
    """Every arm with every seed, trained and scored on the test split.

    Args:
        study: The plan of arms and seeds.
        control: Ask with wrong images too.
    """

    def __init__(self, study: StudyPlan, control: str | None = None) -> None:
        self._study, self._control = study, control
        self._runs = {run.name: run for run in study.runs}
        self._done: set[str] = set()
        """Names of the runs that this process or its workers have done."""

    @property
    def plan(self) -> StudyPlan:
        """Returns the study's plan."""
        return self._study

    @property
    def directions(self) -> list[Direction]:
        """Returns the direction of the one value."""
        return ["maximize"]

    @property
    def metrics(self) -> list[str]:
        """Returns the name of the one value."""
        return ["mean test accuracy"]

    def points(self) -> list[TrialSpec]:
        """Returns one point per arm and seed, in the plan's order."""
        return [TrialSpec(run.name, {"arm": run.arm, "seed": run.seed}, {RUN: run.name}) for run in self._study.runs]

    def remarks(self) -> list[str]:
        """Returns nothing: every cell is run."""
        return []

    def sampler(self, trial: int) -> BaseSampler:
        """Returns a sampler that is never asked."""
        import optuna

        return optuna.samplers.RandomSampler(seed=trial)

    def pruner(self) -> BasePruner:
        """Returns a pruner that prunes nothing: every cell of a table is needed."""
        import optuna

        return optuna.pruners.NopPruner()

    def run(self, held: LeasedTrial, cache: StudyCache, report: Reporter, pace: TrainIntervals | None) -> list[float]:
        """Trains and tests a cell; its value is the mean over benchmarks, for other tools to show."""
        from cobra_kit.study.execution.run_trial import run_trial
        from cobra_kit.study.reading.results import read_summaries
        from cobra_kit.study.reading.stored_files import condition

        with _values_as_recorded(held):
            run = self._runs[held.name]
            held.trial.suggest_categorical("arm", list(self._study.arms))
            held.trial.suggest_categorical("seed", list(self._study.seeds))
        run_trial(run, cache, report, control=self._control, pace=pace)
        self._done.add(run.name)
        scores = read_summaries(cache.folder.run(run), condition(None))
        if not scores:
            held.trial.set_user_attr(NOT_EVALUATED, True)
            return [0.0]
        return [fmean(scores.values())]

    def note_done(self, names: Iterable[str]) -> None:
        """Notes runs that were done for this process, as if by it."""
        self._done.update(names)

    def untried(self, folder: StudyFolder) -> Sequence[RunPlan]:
        """Returns the runs that are not trained: of which at least one must be possible."""
        return [run for run in self._study.runs if not _is_trained(folder.run(run))]

    @property
    def known_runs(self) -> Sequence[RunPlan]:
        """Returns the plan's runs."""
        return self._study.runs

    def table(self, study: Study, cache: StudyCache, report: Reporter, pace: TrainIntervals | None) -> AblationTable:
        """Returns the table of the arms whose trials succeeded.

        Raises:
            CobraError: No trial succeeded.
        """
        from cobra_kit.study.execution.run_trial import run_trial
        from cobra_kit.study.execution.write_results import write_table
        from cobra_kit.study.reading.results import study_table

        folder = cache.folder
        names = {
            trial_name(trial, folder.path)
            for trial in study.get_trials(deepcopy=False)
            if trial.state.name == "COMPLETE" and NAME in trial.user_attrs
        }
        complete = [run for run in self._study.runs if run.name in names]
        if not complete:
            raise CobraError(
                "every trial failed",
                where=str(folder.path),
                hint=f"{shlex.join(['cobra-kit', 'status', path_word(folder.path)])} shows why.",
            )
        for run in complete:
            # Recorded as finished, and all the same this folder may lack it: the storage is shared with a machine that
            # does not share the folder, a file was deleted, or the control was not asked for then.
            if run.name not in self._done:
                run_trial(run, cache, report, control=self._control, pace=pace)
        table = study_table(self._study, folder)
        write_table(folder, table)
        return table


class SearchTrials:
    """Points of a search, trained and scored on the validation split.

    Args:
        search: The plan of the search.
        trials: How many; None: as many as the recipe says. A grid has as many as it has points.
    """

    def __init__(self, search: SearchPlan, trials: int | None = None) -> None:
        self._search, self._trials = search, trials or search.sweep.trials

    @property
    def plan(self) -> SearchPlan:
        """Returns the search's plan."""
        return self._search

    @property
    def directions(self) -> list[Direction]:
        """Returns which way is better, per objective."""
        return [objective.better for objective in self._search.sweep.objectives]

    @property
    def metrics(self) -> list[str]:
        """Returns the objectives."""
        return [objective.metric for objective in self._search.sweep.objectives]

    def points(self) -> list[TrialSpec]:
        """Returns the trials: those of a grid have all their values, others are suggested when they begin."""
        if self._search.sweep.sampler.use != GRID:
            return [TrialSpec(_name(number)) for number in range(self._trials)]
        values = grid(self._search.recipe, self._search.sweep.space)
        return [TrialSpec(_name(number), point) for number, point in enumerate(values)]

    def sampler(self, trial: int) -> BaseSampler:
        """Returns the recipe's sampler."""
        return make_sampler(self._search.recipe, trial)

    def pruner(self) -> BasePruner:
        """Returns the recipe's pruner."""
        return make_pruner(self._search.recipe)

    def remarks(self) -> list[str]:
        """Returns what a user should know beforehand, one line each."""
        return remarks(self._search.recipe, self._trials)

    def run_of(self, held: LeasedTrial) -> RunPlan:
        """Returns a trial's run; its values are suggested now, or were in an earlier process.

        Raises:
            Infeasible: The recipe cannot have these values.
        """
        with _values_as_recorded(held):
            values = suggest(held.trial, self._search.sweep.space)
        try:
            return self._search.run(held.name, values)
        except RecipeError as error:
            raise Infeasible(error.message) from error

    def run(self, held: LeasedTrial, cache: StudyCache, report: Reporter, pace: TrainIntervals | None) -> list[float]:
        """Trains a point and asks it the validation questions; infeasible ones and repeated ones cost nothing."""
        from cobra_kit.study.execution.run_trial import run_trial
        from cobra_kit.study.search.objective import check_feasible, check_limits, measured_costs, values_of
        from cobra_kit.study.search.pruning_callback import PruningCallback
        from cobra_kit.study.search.repeats import finished_before

        sweep = self._search.sweep
        run = self.run_of(held)
        held.trial.set_user_attr(RUN, run.name)
        check_feasible(run, sweep.limits)
        if (earlier := finished_before(held.trial)) is not None:
            held.trial.set_user_attr(REPEATS, trial_name(earlier))
            return list(earlier.values)
        pruning = None
        validation = run.evaluate.validation
        if sweep.pruner is not None and validation is not None:
            per_question = sweep.pruner.use == PER_QUESTION
            *_, last = run.train.stages()
            metric = sweep.objectives[0].metric
            pruning = PruningCallback(held.trial, metric, last, validation.every_steps, per_question=per_question)
            report = pruning.watching(report)
        check_objectives(self._search.recipe, cache.benchmarks(run, "val"))
        run_trial(run, cache, report, pace=pace, split="val", pruning=pruning)
        check_limits(measured_costs(run, cache.folder.run(run)), sweep.limits, measured=True)
        return values_of(run, cache.folder.run(run), sweep.objectives)

    def untried(self, folder: StudyFolder) -> Sequence[RunPlan]:
        """Returns the reference, unless it is trained: it stands in every table, and most trials differ little."""
        run = self._search.reference_run
        return [] if _is_trained(folder.run(run)) else [run]

    @property
    def known_runs(self) -> None:
        """Returns None: which runs there are, the sampler decides."""
        return None

    def table(self, study: Study, cache: StudyCache, report: Reporter, pace: TrainIntervals | None) -> AblationTable:
        """Returns the table of the reference and the winners, scored on the test split now.

        Raises:
            CobraError: No trial was finished.
        """
        from cobra_kit.study.execution.finish_search import score_winners

        return score_winners(self._search, study, cache, report, pace)


Trials = GridTrials | SearchTrials
Plan = StudyPlan | SearchPlan


def guarded(held: LeasedTrial, report: Reporter) -> Reporter:
    """Returns a reporter under the trial's name that stops the work once the trial is another worker's."""
    named = for_arm(report, held.name)

    def checking(event: object, /) -> None:
        held.check()
        named(event)  # type: ignore[arg-type]

    return checking


@contextmanager
def _values_as_recorded(held: LeasedTrial) -> Iterator[None]:
    """Raises a `CobraError` where a trial has a name or values that the recipe lacks: anybody may record one."""
    try:
        yield
    except (LookupError, ValueError, TypeError) as error:  # Optuna, of a value that is none of the choices
        raise CobraError(
            f"{held.name} is no trial of this recipe: it was recorded by another", hint=FOREIGN_HINT
        ) from error


def _name(number: int) -> str:
    return f"trial-{number:04d}"


def _is_trained(run_folder: Path) -> bool:
    """Returns whether a run's training is finished; where that is damaged, the run mends it when it comes to it."""
    try:
        return read_training(run_folder) is not None
    except DamagedFile:
        return False
