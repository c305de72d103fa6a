"""`cobra-kit run`: train and evaluate every arm of a recipe, and print the table.

Only the options stand here; what the command does is in `run_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.arguments import global_words
from cobra_kit.cli.options import DeviceOption, JsonOption, ProfileOption, RecipeArgument, SetOption, TrackerOption


def run(
    context: typer.Context,
    recipe: RecipeArgument,
    profile: ProfileOption = None,
    changes: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The study's folder; studies/RECIPE-PROFILE unless given."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study that is there and start over.")] = False,
    control: Annotated[
        str | None,
        typer.Option("--control", metavar="NAME", help="Ask with wrong pictures too: shuffled-images."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=512,
            metavar="N",
            help="Processes that train side by side; on the CPU one per core unless given.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    trackers: TrackerOption = None,
    as_json: JsonOption = False,
    worker: Annotated[int | None, typer.Option("--worker", hidden=True, help="Internal: one of several.")] = None,
) -> None:
    """Train and evaluate every arm and seed of a recipe, and print the table.

    The same command goes on after an interruption, and repeats nothing. On the CPU every run is trained by one thread,
    and as many side by side as there are cores: the table is the same with any number of them.
    """
    from cobra_kit.cli import run_action

    root = context.find_root()
    arguments = run_action.RunArguments(
        recipe=recipe,
        profile=profile,
        changes=tuple(changes or ()),
        out=out,
        control=control,
        workers=workers,
        device=device,
        trackers=tuple(trackers or ()),
        as_json=as_json,
        before=global_words(root.params),
    )
    if worker is None:
        run_action.run(arguments, fresh=fresh, by_itself=root.obj is True)
    else:
        run_action.work_for_run(arguments)
