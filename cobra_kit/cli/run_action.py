"""The work of `cobra-kit run`: it says what is to come, shows progress on stderr, prints the table on stdout."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from cobra_kit.cli.allocator import keep_freed_memory
from cobra_kit.cli.arguments import PROGRAM, how_to_go_on, option_words
from cobra_kit.cli.event_relay import EventRelay
from cobra_kit.cli.progress import progress
from cobra_kit.cli.run_workers import RunWorkers, work_as_one
from cobra_kit.cli.tables import print_table, terminal_width
from cobra_kit.columns import joined, paragraph
from cobra_kit.data.check.recipe_data import check_quickly
from cobra_kit.data.sources import is_made_here
from cobra_kit.names import path_word
from cobra_kit.recipe import load_recipe
from cobra_kit.report import table_to_json
from cobra_kit.study.execution.run_study import run_plan, study_path
from cobra_kit.study.plan.chosen_trackers import chosen_trackers
from cobra_kit.study.plan.study_plan import StudyPlan, make_plan

_OTHER_PROFILES = {"paper": "for the paper's scale", "laptop": "for a laptop's scale"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArguments:
    """The arguments of `cobra-kit run`, apart from what holds for one start only.

    Args:
        recipe: A file or a name.
        profile: Name of the recipe's profile; None: its default.
        changes: Settings of the form `a.b=c`.
        out: The study's folder.
        control: Questions that are asked with wrong images too.
        workers: How many processes train; None: as many as there are cores.
        device: The device that models run on.
        trackers: Names of trackers beside those of the recipe.
        as_json: Whether JSON is printed instead of text.
        before: Options before the command, such as `--plugin FILE`.
    """

    recipe: str
    profile: str | None
    changes: tuple[str, ...]
    out: Path | None
    control: str | None
    device: str
    trackers: tuple[str, ...] = ()
    workers: int | None = None
    as_json: bool = False
    before: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Returns the arguments of the command that goes on with the study."""
        device = None if self.device == "auto" else self.device
        options = option_words(
            profile=self.profile,
            set=self.changes,
            out=self.out,
            control=self.control,
            workers=self.workers,
            device=device,
            tracker=self.trackers,
            json=self.as_json,
        )
        return [*self.before, "run", path_word(self.recipe), *options]

    def worker_words(self) -> list[str]:
        """Returns the arguments of a worker's command, but for its number."""
        return replace(self, workers=None, as_json=False).words()


def run(arguments: RunArguments, *, fresh: bool, by_itself: bool) -> None:
    """Runs a study and prints its table.

    Args:
        arguments: What was typed.
        fresh: Delete the study that is there and start over.
        by_itself: Whether workers are started unasked.
    """
    plan, path = _prepare(arguments)
    control, device = arguments.control, arguments.device
    for line in heading(plan, path, terminal_width(sys.stderr.isatty())):
        typer.echo(line, err=True)
    check_quickly(plan.recipe)
    try:
        with progress(plan) as report:
            relay = EventRelay(report)
            work = RunWorkers(arguments.worker_words(), relay, arguments.workers, by_itself).work
            table = run_plan(
                plan,
                path,
                fresh=fresh,
                control=control,
                device=device,
                report=relay.own,
                trackers=arguments.trackers,
                work=work,
            )
    except KeyboardInterrupt as stop:
        typer.echo(how_to_go_on(stop, path, arguments.words()), err=True)
        raise
    if arguments.as_json:
        typer.echo(table_to_json(table), nl=False)
        return
    typer.echo("", err=True)
    print_table(table)
    # Asked with wrong images already, or nothing asked at all: nothing to propose.
    proposed = None
    if not control and table.rows:
        proposed = shlex.join([PROGRAM, *replace(arguments, control="shuffled-images").words()])
    for line in _closing(path, proposed):
        typer.echo(line, err=True)


def work_for_run(arguments: RunArguments) -> None:
    """Does runs of a study for the `run` that started this process."""
    plan, path = _prepare(arguments)
    work_as_one(plan, path, control=arguments.control, device=arguments.device, trackers=arguments.trackers)


def _prepare(arguments: RunArguments) -> tuple[StudyPlan, Path]:
    keep_freed_memory()  # before torch has allocated anything
    plan = make_plan(load_recipe(arguments.recipe, profile=arguments.profile, overrides=arguments.changes))
    chosen_trackers(plan.recipe, arguments.trackers)
    return plan, study_path(plan, arguments.out)


def heading(plan: StudyPlan, path: Path, width: int) -> list[str]:
    """Returns what is about to happen, each line within `width` where names allow it."""
    recipe = plan.recipe
    facts = []
    if recipe.profile:
        data = " (embedded data)" if is_made_here(recipe) else ""
        facts.append(f"profile {recipe.profile}{data}")
    seeds = ("seeds" if len(plan.seeds) > 1 else "seed") + "  " + ", ".join(map(str, plan.seeds))
    arms = ", ".join(f"{arm} (reference)" if arm == plan.reference else arm for arm in plan.arms)
    about = [f"factor  {plan.factor}", f"arms  {arms}"] if plan.factor else [f"title   {recipe.title or recipe.name}"]
    others = [
        f"{purpose}: --profile {name}"
        for name, purpose in _OTHER_PROFILES.items()
        if name in recipe.profile_names and name != recipe.profile
    ]
    return [
        *joined([f"recipe  {recipe.name}", *facts], width),
        *joined([*about, seeds], width),
        *joined([f"study   {path}", *others], width),
        *([paragraph(recipe.note, indent="", limit=width)] if recipe.note else []),
        *(["nothing is evaluated: there are no benchmarks to ask"] if plan.asks_nothing else []),
        "",
    ]


def _closing(path: Path, control: str | None) -> list[str]:
    """Returns where things are and, if it was not asked yet, the command that asks with wrong images."""
    page = shlex.join(["cobra-kit", "report", path_word(path)])
    lines = ["", f"table.md and table.json are in {path}", f"A page with plots and questions: {page}"]
    return lines if control is None else [*lines, "Did the models look? Ask again with wrong pictures:", f"  {control}"]
