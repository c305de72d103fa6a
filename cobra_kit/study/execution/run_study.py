"""Runs a study: every run of its plan, then the table. It is a sweep over a grid, alone in its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit.arguments import file_path
from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.evaluate.control import CONTROLS
from cobra_kit.events import Reporter, silent
from cobra_kit.names import name_problem
from cobra_kit.recipe import Recipe, load_recipe
from cobra_kit.report import AblationTable
from cobra_kit.study.execution.devices import AUTO
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import StudySession, open_session
from cobra_kit.study.execution.trial_sources import GridTrials, Plan
from cobra_kit.study.plan.study_plan import StudyPlan, make_plan

if TYPE_CHECKING:
    from cobra_kit.train import TrainIntervals

STUDIES = Path("studies")


def run(
    recipe: str | Path | Recipe,
    *,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    fresh: bool = False,
    control: str | None = None,
    device: str = AUTO,
    report: Reporter = silent,
    pace: TrainIntervals | None = None,
    trackers: Sequence[str] = (),
) -> AblationTable:
    """Trains and evaluates every arm and seed of a recipe and returns the table.

    Called again after an interruption, or a kill, it does what is missing and repeats nothing. On the CPU it works in
    this process and with one thread, unless `OMP_NUM_THREADS` asks for more, so that the table depends on no number of
    cores; `cobra-kit run` makes the same table with several processes.

    Args:
        recipe: A file, a packaged name, or a loaded recipe.
        profile: Which profile of the file; None: the recipe's default.
        overrides: Settings of the form `a.b=c`.
        out: The study's folder; None: `studies/<recipe>-<profile>`.
        fresh: Delete what is there and start over.
        control: `shuffled-images`: ask the same questions with wrong images too.
        device: `cpu`, `cuda`, or `auto`: a GPU where torch sees one.
        report: Told about progress.
        pace: How often to log and save while training.
        trackers: Names of trackers beside those of the recipe; they are told what `report` is told.

    Raises:
        CobraError: The recipe, the data or the folder is wrong, or training failed.
    """
    if isinstance(recipe, Recipe):
        if profile is not None or overrides:
            raise CobraError(
                "a loaded recipe has its profile and settings already", hint="Give them to load_recipe instead."
            )
        loaded = recipe
    else:
        loaded = load_recipe(recipe, profile=profile, overrides=overrides)
    plan = make_plan(loaded)
    return run_plan(
        plan,
        study_path(plan, out),
        fresh=fresh,
        control=control,
        device=device,
        report=report,
        pace=pace,
        trackers=trackers,
    )


def study_path(plan: Plan, out: str | Path | None = None) -> Path:
    """Returns the folder of a study: `out`, or `studies/<recipe>-<profile>`.

    Raises:
        RecipeError: The recipe's name makes no folder's name.
    """
    if out is not None:
        return file_path(out, "out")
    if (wrong := name_problem(plan.name)) is not None:
        raise RecipeError(
            f"the recipe's name names the study's folder, and this one {wrong}",
            where=str(plan.recipe.tree.origin.source),
            hint="Rename the recipe's file, or name a folder with --out.",
        )
    return STUDIES / plan.name


def run_plan(
    plan: StudyPlan,
    path: Path,
    *,
    fresh: bool = False,
    control: str | None = None,
    device: str = AUTO,
    report: Reporter = silent,
    pace: TrainIntervals | None = None,
    trackers: Sequence[str] = (),
    work: Callable[[StudySession], object] = StudySession.work,
) -> AblationTable:
    """Does what is missing of a plan and returns the table; see `run`.

    The first failure ends it, since an ablation compares all of its arms; a sweep goes on with the other trials.

    Args:
        plan: The arms and seeds that are to be trained.
        path: The study's folder.
        fresh: As for `run`.
        control: As for `run`.
        device: As for `run`.
        report: As for `run`.
        pace: As for `run`.
        trackers: As for `run`.
        work: Does the runs that are left; one after the other, unless the command line brings workers.
    """
    if control is not None and control not in CONTROLS:
        raise CobraError(f"no control named {control!r}", hint=f"Controls: {', '.join(CONTROLS)}")
    trials, options = GridTrials(plan, control), WorkerOptions(fail_fast=True, device=device)
    with open_session(
        trials, path, options, alone=True, fresh=fresh, report=report, pace=pace, trackers=trackers
    ) as session:
        work(session)
        return session.table()
