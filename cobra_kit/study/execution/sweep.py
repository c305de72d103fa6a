"""A sweep as one process sees it: it joins a study, works until nothing is left, and makes the table.

with open_sweep(trials_of(recipe), path, WorkerOptions()) as one:
    one.work()
    table = one.table()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit._plugins import Registry
from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.locks import locked
from cobra_kit.recipe import Recipe
from cobra_kit.report import AblationTable
from cobra_kit.study.execution.trial_sources import GridTrials, SearchTrials
from cobra_kit.study.execution.trials import WorkerOptions, forget, open_queue, work_through
from cobra_kit.study.folder import StudyFolder, open_study
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.study.reading.status import StudyStatus, read_status
from cobra_kit.study.search import GRID
from cobra_kit.study.search.search_plan import make_search_plan
from cobra_kit.trials import NAME, Outcome, TrialQueue

if TYPE_CHECKING:
    from cobra_kit.study.execution.study_cache import StudyCache
    from cobra_kit.train import TrainIntervals

Kind = GridTrials | SearchTrials


def trials_of(recipe: Recipe, trials: int | None = None, registry: Registry | None = None) -> Kind:
    """Returns the trials of a recipe: its section `sweep`, else its ablation's arms and seeds.

    Args:
        recipe: The recipe.
        trials: How many, instead of what the section says.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: It has neither, or `trials` was given for a grid.
    """
    if recipe.sweep is not None:
        if trials is not None and recipe.sweep.sampler.use == GRID:
            raise _fixed("a grid has as many trials as it has points", "Leave it out, or choose another sampler.")
        return SearchTrials(make_search_plan(recipe, registry, trials), trials)
    if recipe.ablation is None:
        raise RecipeError(
            "the recipe has neither a section `sweep` nor an ablation, so there is one model and nothing to sweep",
            where=str(recipe.tree.origin),
            hint="cobra-kit run trains it. cobra-kit recipes show sweep_projector prints a search.",
        )
    if trials is not None:
        raise _fixed(
            "an ablation is a grid: every arm with every seed", "Leave it out, or give the recipe a section `sweep`."
        )
    return GridTrials(make_plan(recipe, registry))


def _fixed(message: str, hint: str) -> RecipeError:
    return RecipeError(message, where="--trials", hint=hint)


@contextmanager
def open_sweep(
    kind: Kind,
    path: Path,
    crew: WorkerOptions,
    *,
    fresh: bool = False,
    retry_failed: bool = True,
    report: Reporter = silent,
    pace: TrainIntervals | None = None,
) -> Iterator[Sweep]:
    """Joins a study for the length of a block; makes it on first use.

    Args:
        kind: Its trials.
        path: Its folder.
        crew: How to work.
        fresh: Delete what is there and start over; nobody else may work on it.
        retry_failed: Try what failed anew, unless somebody is at work.
        report: Told about progress.
        pace: How often to log and save while training.

    Raises:
        CobraError: The folder or the storage belongs to another recipe, or cannot be used.
    """
    if fresh:
        with open_study(path, kind.plan, fresh=True, report=report):
            forget(kind, crew, path)
    with open_study(path, kind.plan, shared=True, report=report) as folder:
        if retry_failed:  # once per sweep: whoever joins one is not told again
            for remark in kind.remarks():
                report(Message(text=remark, level="warning"))
        board = open_queue(kind, folder, crew, retry_failed=retry_failed)
        yield Sweep(kind, board, folder, crew, report, pace)


class Sweep:
    """A study that this process has joined; `open_sweep` makes it.

    Args:
        kind: Its trials.
        board: Their records.
        folder: Where it is kept.
        crew: How to work.
        report: Told about progress.
        pace: How often to log and save while training.
    """

    def __init__(
        self,
        kind: Kind,
        board: TrialQueue,
        folder: StudyFolder,
        crew: WorkerOptions,
        report: Reporter,
        pace: TrainIntervals | None,
    ) -> None:
        self._kind, self._board, self.folder, self._crew = kind, board, folder, crew
        self._report, self._pace = report, pace

    @property
    def is_finished(self) -> bool:
        """Returns whether every trial has ended."""
        return self._board.is_finished()

    def status(self) -> StudyStatus:
        """Returns how far the study is."""
        return read_status(self._board.study, self.folder.path, self._kind.plan.name)

    def work(self) -> Outcome:
        """Does trials until all have ended, together with whoever else works on them, or until the time is up.

        Raises:
            CobraError: The storage is out of reach or, with `crew.fail_fast`, a trial failed.
            KeyboardInterrupt: Ctrl-C; everything that was done is kept.
        """
        return work_through(self._kind, self._board, self.folder, self._shared, self._crew, self._report, self._pace)

    def table(self) -> AblationTable:
        """Returns the table: of an ablation's arms; of a search's reference and winners, scored on the test split now.

        Raises:
            CobraError: No trial succeeded.
        """
        with locked(self.folder.final_lock, lambda: self._report(Message(text="another worker makes the table"))):
            if isinstance(self._kind, SearchTrials):
                from cobra_kit.study.search.finish import score_winners

                return score_winners(
                    self._kind.plan, self._board.study, self.folder, self._shared, self._report, self._pace
                )
            return self._grid_table(self._kind)

    def _grid_table(self, kind: GridTrials) -> AblationTable:
        from cobra_kit.study.execution.run_trial import execute
        from cobra_kit.study.reading.results import study_table, write_table

        complete = {str(one.user_attrs[NAME]) for one in self._board.trials() if one.state.name == "COMPLETE"}
        if not complete:
            raise CobraError(
                "every trial failed",
                where=str(self.folder.path),
                hint=f"cobra-kit status {self.folder.path} shows why.",
            )
        for run in kind.plan.runs:
            if run.name in complete:  # on a machine that does not share the folder with who did it, it is done again
                execute(run, self.folder, self._shared, report=self._report, pace=self._pace)
        table = study_table(kind.plan, self.folder)
        write_table(self.folder, table)
        return table

    @cached_property
    def _shared(self) -> StudyCache:
        from cobra_kit.study.execution.study_cache import StudyCache

        grid = isinstance(self._kind, GridTrials)
        runs = self._kind.plan.runs if isinstance(self._kind, GridTrials) else ()
        return StudyCache(self.folder, runs, self._report, device=self._crew.device, more_to_come=not grid)
