"""`cobra-kit data`: the commands of plugins that make or look at data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from cobra_kit._plugins import default_registry, import_reference
from cobra_kit.cli.options import JsonOption, ProfileOption, RecipeArgument, SetOption, show_help
from cobra_kit.errors import PluginError
from cobra_kit.formatting import either


class DataCommands(typer.core.TyperGroup):
    """The group of commands under `data`: those of plugins stand beside our own, and are imported when called."""

    def list_commands(self, context: Any) -> list[str]:
        """Returns the names of all commands."""
        return sorted({*super().list_commands(context), *default_registry().data_commands()})

    def get_command(self, context: Any, name: str) -> Any:
        """Returns a command, of ours or of the only plugin that has it under that name; None where nobody has.

        Raises:
            PluginError: Several plugins have it, or it cannot be imported.
        """
        own = super().get_command(context, name)
        return own if own is not None else _command(name)

    @property
    def all_commands(self) -> Mapping[str, Any]:
        """Returns every command by its name."""
        return {name: self.get_command(None, name) for name in self.list_commands(None)}


def _command(name: str) -> Any:
    offers = default_registry().data_commands().get(name, [])
    if not offers:
        return None
    if len(offers) > 1:
        raise PluginError(
            f"several plugins have a command {name!r}: {either([record.label for record, _ in offers])}",
            hint="Uninstall all but one of them, or name those to load in COBRA_KIT_PLUGINS.",
        )
    record, spec = offers[0]
    title = f"the command {name!r} of plugin {record.label}"
    function = import_reference(spec.target, title=f"{title}: cannot import {spec.target}", what=title)
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    single.command(name, short_help=spec.summary)(function)
    return typer.main.get_command(single)


app = typer.Typer(help="Training rows and benchmark files.", rich_markup_mode=None, cls=DataCommands)

app.callback(invoke_without_command=True)(show_help)


@app.command("check")
def check(
    recipe: RecipeArgument,
    profile: ProfileOption = None,
    changes: SetOption = None,
    quarantine: Annotated[
        Path, typer.Option("--quarantine", metavar="FILE", help="Where rows that cannot be trained on are listed.")
    ] = Path("quarantine.jsonl"),
    as_json: JsonOption = False,
) -> None:
    """Look at all training data before anything is trained: every row, every picture.

    Exits with 0 if training may start, else with 1; rows that cannot be trained on are then listed in a file that
    `--set data.quarantine=FILE` leaves out.
    """
    from cobra_kit.cli import data_check_action

    data_check_action.check(recipe, profile=profile, changes=changes or (), quarantine=quarantine, as_json=as_json)


@app.command("prepare")
def prepare(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A public data set; all are listed without.")
    ] = None,
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="The folder that the files go to.")] = Path(
        "data"
    ),
    download: Annotated[
        bool, typer.Option("--download/--no-download", help="Fetch what is missing, or only say what to put where.")
    ] = True,
    again: Annotated[bool, typer.Option("--again", help="Fetch again what is there but wrong.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a public data set to a folder: fetch, check and unpack its files, or say what to put where.

    Exits with 0 if all of its files are there, else with 1; the same command goes on where it was stopped.
    """
    from cobra_kit.cli import data_prepare_action

    if name is None:
        data_prepare_action.list_all(as_json=as_json)
    else:
        data_prepare_action.prepare(name, root, download=download, again=again, as_json=as_json)
