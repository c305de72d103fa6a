"""Arguments and options that several commands take, and what a group of commands does without one."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="A file, or a name from `recipes list`.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Which profile; laptop unless given.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change one setting. May be given several times.")
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where models are; auto: a GPU where there is one.")
]
TrackerOption = Annotated[
    list[str] | None,
    typer.Option("--tracker", metavar="NAME", help="Tell a tracker about every event. May be given several times."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show_help(context: typer.Context) -> None:
    """Prints the help of a group where no command of it was named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
