"""A study as one process works on it: it opens the folder and the queue, works until nothing is left, makes the table.

`run` and `sweep` are this, the one alone in the folder and the other together with whoever shares it.

with open_session(trials_of(recipe), path, WorkerOptions()) as session:
    session.work()
    table = session.table()
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit._plugins import Registry
from cobra_kit.errors import RecipeError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.locks import locked
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.sweep import MAX_TRIALS
from cobra_kit.report import AblationTable
from cobra_kit.study.execution.devices import choose_device
from cobra_kit.study.execution.folder_faults import folder_faults
from cobra_kit.study.execution.open_folder import open_study
from cobra_kit.study.execution.study_queue import WorkerOptions, forget, note_journal, open_queue
from cobra_kit.study.execution.tracking import tracking
from cobra_kit.study.execution.trial_sources import GridTrials, SearchTrials, Trials, guarded
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.plan.chosen_trackers import chosen_trackers
from cobra_kit.study.plan.study_plan import RunPlan, make_plan
from cobra_kit.study.reading.status import FAILED, StudyStatus, read_status
from cobra_kit.study.search import GRID
from cobra_kit.study.search.search_plan import make_search_plan
from cobra_kit.trials import LeasedTrial, Outcome, TrialQueue, work
from cobra_kit.trials.optuna_internals import suppress_experimental_warnings

if TYPE_CHECKING:
    from cobra_kit.study.execution.study_cache import StudyCache
    from cobra_kit.train import TrainIntervals


def trials_of(recipe: Recipe, trials: int | None = None, registry: Registry | None = None) -> Trials:
    """Returns the trials of a recipe: its section `sweep`, else its ablation's arms and seeds.

    Args:
        recipe: The loaded recipe.
        trials: How many trials, instead of what the section says.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: It has neither, or `trials` was given for a grid.
    """
    if trials is not None and trials > MAX_TRIALS:
        raise _fixed(
            f"expected at most {MAX_TRIALS:,} trials, found {trials:,}", "Ask for fewer; more may follow later."
        )
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
def open_session(
    trials: Trials,
    path: Path,
    options: WorkerOptions,
    *,
    alone: bool = False,
    worker: bool = False,
    fresh: bool = False,
    retry_failed: bool = True,
    report: Reporter = silent,
    pace: TrainIntervals | None = None,
    trackers: Sequence[str] = (),
) -> Iterator[StudySession]:
    """Opens a study for the length of a block; makes it on first use.

    Args:
        trials: The trials that are to be done.
        path: The study's folder.
        options: The storage, the device, and when to stop.
        alone: Let nobody else work in the folder, but for workers of its own.
        worker: Work for the process that started this one, which holds the folder alone.
        fresh: Delete what is there and start over; nobody else may work on it.
        retry_failed: Try what failed anew, unless somebody is at work.
        report: Told about progress.
        pace: How often to log and save while training.
        trackers: Names of trackers beside those of the recipe.

    Raises:
        CobraError: The folder or the storage belongs to another recipe, or cannot be used; or a tracker is unknown.
    """
    chosen = [(choice, choice.extension.load_tracker()) for choice in chosen_trackers(trials.plan.recipe, trackers)]
    with folder_faults(path) as watch:
        # Deleting needs the folder for oneself, also where the work is shared: so it is opened twice.
        if fresh and not alone:
            with open_study(path, trials.plan, fresh=True, report=report):
                forget(trials, options, path)
        with (
            open_study(
                path, trials.plan, fresh=fresh and alone, shared=not alone, worker=worker, report=report
            ) as folder,
            tracking(chosen, folder.path, report) as report,
        ):
            watch.opened = True
            # Torch may come in only now: a wrong recipe or a folder in use is told at once.
            options = replace(options, device=choose_device(options.device))
            if retry_failed:  # once per sweep: whoever joins one is not told again
                for remark in trials.remarks():
                    report(Message(text=remark, level="warning"))
            queue = open_queue(trials, folder, options, retry_failed=retry_failed, report=report)
            yield StudySession(trials, queue, folder, options, report, pace)


class StudySession:
    """A study that this process has opened; `open_session` makes it.

    Args:
        trials: The trials that are to be done.
        queue: The records of the trials.
        folder: The study's folder, held by this process.
        options: The storage, the device, and when to stop.
        report: Told about progress.
        pace: How often to log and save while training.
    """

    def __init__(
        self,
        trials: Trials,
        queue: TrialQueue,
        folder: StudyFolder,
        options: WorkerOptions,
        report: Reporter,
        pace: TrainIntervals | None,
    ) -> None:
        self._trials, self._queue, self.folder, self._options = trials, queue, folder, options
        self._report, self._pace = report, pace
        self._is_checked = False

    @property
    def is_finished(self) -> bool:
        """Returns whether every trial has ended."""
        return self._queue.is_finished()

    @property
    def device(self) -> str:
        """Returns where models are: `cpu` or `cuda`."""
        return self._options.device

    def runs_left(self) -> list[RunPlan]:
        """Returns the runs of an ablation whose trials have not ended; none of a search, whose runs nobody knows."""
        names = self._queue.open_names()
        return [run for run in self._trials.known_runs or () if run.name in names]

    def note_done(self, names: Iterable[str]) -> None:
        """Notes that workers of this process have done some runs, so that the table's maker need not look again."""
        if isinstance(self._trials, GridTrials):
            self._trials.note_done(names)

    def failed(self) -> list[tuple[str, str]]:
        """Returns the names of the trials that failed, and why."""
        return [(trial.name, trial.note) for trial in self.status().trials if trial.state == FAILED]

    def status(self) -> StudyStatus:
        """Returns how far the study is."""
        return read_status(self._queue.study, self.folder.path, self._trials.plan.name)

    def work(self) -> Outcome:
        """Does trials until all have ended, together with whoever else works on them, or until the time is up.

        Raises:
            CobraError: No trial could be done, the storage is out of reach, or a trial failed (`options.fail_fast`).
            KeyboardInterrupt: Ctrl-C; everything that was done is kept.
        """
        self.check_ahead()
        cache, timeout = self._cache, self._options.timeout

        def objective(held: LeasedTrial) -> Sequence[float]:
            def waiting() -> None:
                self._report(Message(text=f"{held.name}: waiting until its earlier worker has stopped"))

            # Two processes never work in one run's folder, not even for the moment until the slower one notices.
            lock = self.folder.run_lock(held.name)
            lock.parent.mkdir(parents=True, exist_ok=True)
            with locked(lock, waiting), suppress_experimental_warnings():
                return self._trials.run(held, cache, guarded(held, self._report), self._pace)

        deadline = None if timeout is None else time.monotonic() + timeout
        return work(self._queue, objective, report=self._report, fail_fast=self._options.fail_fast, deadline=deadline)

    def check_ahead(self) -> None:
        """Raises what would make every trial fail; nothing is checked where none is left.

        The data are open from then on.
        """
        if self._is_checked or self.is_finished:
            return
        from cobra_kit.study.execution.preflight import check_any

        check_any(self._trials.untried(self.folder), self._cache)
        self._is_checked = True

    def table(self) -> AblationTable:
        """Returns the table: of an ablation's arms; of a search's reference and winners, scored on the test split now.

        Raises:
            CobraError: No trial succeeded.
        """
        with locked(self.folder.final_lock, lambda: self._report(Message(text="another worker makes the table"))):
            table = self._trials.table(self._queue.study, self._cache, self._report, self._pace)
            if self._options.storage is None:
                note_journal(self.folder)
            return table

    @cached_property
    def _cache(self) -> StudyCache:
        from cobra_kit.study.execution.study_cache import StudyCache

        runs = self._trials.known_runs
        return StudyCache(self.folder, runs or (), self._report, device=self._options.device, more_to_come=runs is None)
