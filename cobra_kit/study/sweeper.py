"""One worker of `cobra-kit sweep`: it joins a study, works until nothing is left, and prepares the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit._plugins import Registry
from cobra_kit.data.lock import locked
from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.recipe import Recipe
from cobra_kit.report import AblationTable
from cobra_kit.study.engine import Crew, open_board, work_through
from cobra_kit.study.folder import StudyFolder, open_study
from cobra_kit.study.kinds import GridTrials, SearchTrials
from cobra_kit.study.plan import make_plan
from cobra_kit.study.search.plan import make_search_plan
from cobra_kit.study.trials import TrialBoard

if TYPE_CHECKING:
    from cobra_kit.study.shared import Shared
    from cobra_kit.train import Pace

Kind = GridTrials | SearchTrials


def trials_of(recipe: Recipe, trials: int | None = None, registry: Registry | None = None) -> Kind:
    """Returns the trials of a recipe: its section `sweep`, else its ablation's arms and seeds.

    Raises:
        RecipeError: It has neither, or `trials` was given for a grid.
    """
    if recipe.sweep is not None:
        return SearchTrials(make_search_plan(recipe, registry), trials)
    if recipe.ablation is None:
        raise RecipeError(
            "the recipe has neither a section `sweep` nor an ablation, so there is one model and nothing to sweep",
            where=str(recipe.tree.origin),
            hint="cobra-kit run trains it. cobra-kit recipes show sweep_projector prints a search.",
        )
    if trials is not None:
        raise RecipeError(
            "an ablation is a grid: every arm with every seed",
            where="--trials",
            hint="Leave it out, or give the recipe a section `sweep`.",
        )
    return GridTrials(make_plan(recipe, registry))


def sweep(
    kind: Kind,
    path: Path,
    crew: Crew,
    *,
    fresh: bool = False,
    report: Reporter = silent,
    pace: Pace | None = None,
) -> AblationTable | None:
    """Works on a study together with whoever else does, and returns its table.

    Args:
        kind: Its trials.
        path: Its folder.
        crew: How to work.
        fresh: Delete what is there and start over; nobody else may work on it.
        report: Told about progress.
        pace: How often to log and save while training.

    Returns:
        The table; None if the time is up and trials are left.

    Raises:
        CobraError: The folder belongs to another recipe, the storage is out of reach, no trial succeeded, or, with
            `crew.fail_fast`, a trial failed.
        KeyboardInterrupt: Ctrl-C; everything that was done is kept.
    """
    if fresh:
        with open_study(path, kind.plan, fresh=True, report=report):
            pass
    with open_study(path, kind.plan, shared=True, report=report) as folder:
        from cobra_kit.study.shared import Shared

        runs = kind.plan.runs if isinstance(kind, GridTrials) else ()
        shared = Shared(folder, runs, report)
        outcome = work_through(kind, folder, shared, crew, report, pace)
        board = open_board(kind, folder, replace(crew, timeout=None))
        if not board.is_finished():
            report(Message(text="the time is up; the same command goes on"))
            return None
        if outcome.failed:
            report(Message(text=f"{outcome.failed} trials failed: cobra-kit status {path}", level="warning"))
        with locked(folder.path / ".final.lock", lambda: report(Message(text="another worker makes the table"))):
            return _table(kind, board, folder, shared, report, pace)


def _table(
    kind: Kind, board: TrialBoard, folder: StudyFolder, shared: Shared, report: Reporter, pace: Pace | None
) -> AblationTable:
    if isinstance(kind, SearchTrials):
        from cobra_kit.study.search.finish import score_winners

        return score_winners(kind.plan, board.study, folder, shared, report, pace)
    from cobra_kit.study.results import study_table, write_table

    if not any(one.state.name == "COMPLETE" for one in board.trials()):
        raise CobraError("every trial failed", where=str(folder.path), hint=f"cobra-kit status {folder.path}")
    table = study_table(kind.plan, folder)
    write_table(folder, table)
    return table
