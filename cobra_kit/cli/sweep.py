"""`cobra-kit sweep`: search through a recipe's space, or run an ablation's grid, with several workers.

Only the options stand here; what the command does is in `sweep_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.arguments import global_words
from cobra_kit.cli.options import DeviceOption, JsonOption, ProfileOption, RecipeArgument, SetOption, TrackerOption


def sweep(
    context: typer.Context,
    recipe: RecipeArgument,
    profile: ProfileOption = None,
    changes: SetOption = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=512, metavar="N", help="Processes on this machine.")
    ] = 1,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", min=1, max=100_000, metavar="N", help="How many trials in all, not the recipe's number."
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="A PostgreSQL database; else a file in the study's folder."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The study's folder; studies/RECIPE-PROFILE unless given."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="T", help="Begin no further trial after this time: 90s, 30m, 2h."),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first trial that goes wrong.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study that is there and start over.")] = False,
    device: DeviceOption = "auto",
    trackers: TrackerOption = None,
    as_json: JsonOption = False,
    worker: Annotated[int | None, typer.Option("--worker", hidden=True, help="Internal: one of several.")] = None,
) -> int:
    """Search through a recipe's space, or an ablation's grid, and print the table of the best.

    The same command goes on after an interruption; from another shell or machine it joins. The exit status is 3 where
    the table was made, but some trials failed.
    """
    from cobra_kit.cli import sweep_action

    return sweep_action.sweep(
        sweep_action.SweepArguments(
            recipe=recipe,
            profile=profile,
            changes=tuple(changes or ()),
            trials=trials,
            storage=storage,
            out=out,
            timeout=timeout,
            fail_fast=fail_fast,
            device=device,
            trackers=tuple(trackers or ()),
            before=global_words(context.find_root().params),
        ),
        workers=workers,
        fresh=fresh,
        as_json=as_json,
        worker=worker,
    )
