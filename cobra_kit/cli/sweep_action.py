"""The work of `cobra-kit sweep`: by itself, or by workers that it starts and watches; the table comes last."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from cobra_kit.cli.allocator import keep_freed_memory
from cobra_kit.cli.arguments import PROGRAM, UsageError, how_to_go_on, option_words
from cobra_kit.cli.exit_codes import OK, TRIALS_FAILED
from cobra_kit.cli.progress import print_message, progress
from cobra_kit.cli.run_action import heading
from cobra_kit.cli.storage_option import storage_option
from cobra_kit.cli.sweep_display import watching
from cobra_kit.cli.tables import print_table, terminal_width
from cobra_kit.columns import joined
from cobra_kit.events import Message
from cobra_kit.names import path_word
from cobra_kit.recipe import load_recipe
from cobra_kit.report import AblationTable, table_to_json
from cobra_kit.study.execution.devices import choose_device, worker_environment
from cobra_kit.study.execution.run_study import study_path
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import StudySession, open_session, trials_of
from cobra_kit.study.execution.trial_sources import GridTrials, SearchTrials, Trials
from cobra_kit.study.plan.chosen_trackers import chosen_trackers
from cobra_kit.trials import redact_url
from cobra_kit.trials.storage_url import STORAGE_VARIABLE

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepArguments:
    """The arguments of `cobra-kit sweep`, apart from how many workers; joining workers are given the same.

    Args:
        recipe: A file or a name.
        profile: Name of the recipe's profile; None: its default.
        changes: Settings of the form `a.b=c`.
        trials: How many trials in all; None: as the recipe says.
        storage: URL of a database.
        out: The study's folder.
        timeout: With a unit, such as `30m`.
        fail_fast: Stop at the first trial that goes wrong.
        device: The device that models run on.
        trackers: Names of trackers beside those of the recipe.
        before: Options before the command, such as `--plugin FILE`.
    """

    recipe: str
    profile: str | None
    changes: tuple[str, ...]
    trials: int | None
    storage: str | None
    out: Path | None
    timeout: str | None
    fail_fast: bool
    device: str
    trackers: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Returns the arguments of a command that joins."""
        options = option_words(
            profile=self.profile,
            trials=self.trials,
            # Without its password, since it is printed, and other users see the workers' command lines.
            storage=self.storage and redact_url(self.storage),
            out=self.out,
            timeout=self.timeout,
            set=self.changes,
            fail_fast=self.fail_fast,
            device=None if self.device == "auto" else self.device,
            tracker=self.trackers,
        )
        return [*self.before, "sweep", path_word(self.recipe), *options]


def sweep(arguments: SweepArguments, *, workers: int, fresh: bool, as_json: bool, worker: int | None) -> int:
    """Works on a study, prints its table, and returns the exit code."""
    arguments = replace(arguments, storage=storage_option(arguments.storage, or_environment=True))
    recipe = load_recipe(arguments.recipe, profile=arguments.profile, overrides=arguments.changes)
    source = trials_of(recipe, arguments.trials)
    chosen_trackers(recipe, arguments.trackers)
    path = study_path(source.plan, arguments.out)
    options = WorkerOptions(
        storage=arguments.storage,
        fail_fast=arguments.fail_fast,
        timeout=seconds_of(arguments.timeout),
        device=choose_device(arguments.device),
    )
    if worker is not None:
        os.environ.pop(STORAGE_VARIABLE, None)  # what this worker starts needs no password
        _work_beside(source, path, options, arguments.trackers)
        return OK
    if workers > (most := len(source.points())):
        trials = "there is 1 trial" if most == 1 else f"there are {most} trials"
        print_message(Message(text=f"--workers {workers}, but {trials}: {most} will work", level="warning"))
        workers = most
    for line in _heading(source, path, workers):
        typer.echo(line, err=True)
    try:
        if workers == 1:
            table, failed = _alone(source, path, options, fresh, arguments.trackers)
        else:
            table, failed = _together(arguments, source, path, options, workers, fresh)
    except KeyboardInterrupt as stop:
        watched = option_words(workers=workers if workers > 1 else None, json=as_json)
        typer.echo(how_to_go_on(stop, path, [*arguments.command(), *watched]), err=True)
        raise
    status = shlex.join([PROGRAM, "status", path_word(path)])
    if table is None:
        typer.echo(f"\nThe time is up. The same command goes on; {status} shows how far it is.", err=True)
    elif as_json:
        typer.echo(table_to_json(table), nl=False)
    else:
        typer.echo("", err=True)
        print_table(table)
        typer.echo(f"\ntable.md and table.json are in {path}; {status} lists every trial", err=True)
    if failed:
        trials = "1 trial failed" if failed == 1 else f"{failed} trials failed"
        print_message(Message(text=f"{trials}: {status} shows why; the same command tries again", level="warning"))
    return TRIALS_FAILED if failed else OK


def seconds_of(text: str | None) -> float | None:
    """Returns a length of time in seconds: `90`, `90s`, `30m`, `1.5h`.

    Raises:
        UsageError: The text is no length of time.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"--timeout: expected a time such as 90s, 30m or 2h, found {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def _heading(source: Trials, path: Path, workers: int) -> list[str]:
    width = terminal_width(sys.stderr.isatty())
    if isinstance(source, GridTrials):
        return heading(source.plan, path, width)
    plan = source.plan
    recipe, section = plan.recipe, plan.sweep
    profile = [f"profile {recipe.profile}"] if recipe.profile else []
    objectives = ", ".join(f"{objective.metric} ({objective.better})" for objective in section.objectives)
    pruner = f", pruner {section.pruner.use}" if section.pruner else ""
    return [
        *joined([f"recipe  {recipe.name}", *profile, f"trials  {len(source.points())}", f"workers  {workers}"], width),
        *joined([f"seeks   {objectives}", f"sampler  {section.sampler.use}{pruner}"], width),
        f"study   {path}",
        "",
    ]


def _alone(
    source: Trials, path: Path, options: WorkerOptions, fresh: bool, trackers: tuple[str, ...]
) -> tuple[AblationTable | None, int]:
    plan = source.plan if isinstance(source, GridTrials) else None
    keep_freed_memory()
    with (
        progress(plan) as report,
        open_session(source, path, options, fresh=fresh, report=report, trackers=trackers) as study,
    ):
        study.work()
        return _table(study)


def _work_beside(source: Trials, path: Path, options: WorkerOptions, trackers: tuple[str, ...]) -> None:
    """Does trials for a `sweep` that watches; it makes the table."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with & ignore it
    plan = source.plan if isinstance(source, GridTrials) else None
    keep_freed_memory()
    with (
        progress(plan) as report,
        open_session(source, path, options, retry_failed=False, report=report, trackers=trackers) as study,
    ):
        study.work()


def _together(
    arguments: SweepArguments, source: Trials, path: Path, options: WorkerOptions, workers: int, fresh: bool
) -> tuple[AblationTable | None, int]:
    from cobra_kit.trials.worker_pool import Workers, raise_failures, working

    password = {STORAGE_VARIABLE: arguments.storage} if arguments.storage else {}
    with (
        watching() as show,
        open_session(source, path, options, fresh=fresh, report=show.report, trackers=arguments.trackers) as study,
    ):
        pool = Workers(
            [sys.executable, "-m", "cobra_kit", *arguments.command(), "--worker"],
            [{**password, **worker_environment(number, workers, options.device)} for number in range(workers)],
            study.folder.workers,
            show.report,
        )
        # Stopped before the last look at the study, so that what they gave back is seen as waiting.
        with working(pool):
            status = study.status()
            while pool.tend(status.ended) and not (options.fail_fast and pool.failures):
                time.sleep(_POLL_SECONDS)
                status = study.status()
                show.status(status)
        show.status(study.status())
        if options.fail_fast or not study.is_finished:
            raise_failures(pool.failures, study.folder.workers)
    if isinstance(source, SearchTrials):
        typer.echo("\nThe reference and the best trials are asked the test questions:", err=True)
    with (
        progress(None) as report,
        open_session(source, path, options, retry_failed=False, report=report, trackers=arguments.trackers) as study,
    ):
        return _table(study)


def _table(study: StudySession) -> tuple[AblationTable | None, int]:
    """Returns the table, None while trials are left, and how many trials failed."""
    failed = study.status().count("failed")
    return (study.table() if study.is_finished else None), failed
