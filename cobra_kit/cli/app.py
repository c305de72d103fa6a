"""The command tree and the global options.

A group of commands is a module with a `typer.Typer` named `app`. It imports what is heavy inside its functions, so
that `cobra-kit --help` stays fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit import __version__
from cobra_kit._plugins import configure
from cobra_kit.cli import data, exchange, plugins, recipes
from cobra_kit.cli.bench import bench
from cobra_kit.cli.doctor import doctor
from cobra_kit.cli.evaluate import evaluate
from cobra_kit.cli.plan import plan
from cobra_kit.cli.pretrain import pretrain
from cobra_kit.cli.report import report
from cobra_kit.cli.reproduce import reproduce
from cobra_kit.cli.run import run
from cobra_kit.cli.score import score
from cobra_kit.cli.status import status
from cobra_kit.cli.sweep import sweep

app = typer.Typer(
    name="cobra-kit",
    help="Compare the parts of state-space (Mamba) multimodal language models, fairly, on any machine.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

# Register a command, or a group of commands: one line.
app.command("run")(run)
app.command("sweep")(sweep)
app.command("status")(status)
app.command("plan")(plan)
app.command("report")(report)
app.command("reproduce")(reproduce)
app.command("evaluate")(evaluate)
app.command("score")(score)
app.command("bench")(bench)
app.command("doctor")(doctor)
app.add_typer(data.app, name="data")
app.add_typer(plugins.app, name="plugins")
app.add_typer(recipes.app, name="recipes")
app.command("pretrain")(pretrain)
app.command("export", epilog=exchange.formats("writes"))(exchange.export)
app.command("import", epilog=exchange.formats("reads"))(exchange.import_)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cobra-kit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    plugin: Annotated[
        list[Path] | None,
        typer.Option("--plugin", metavar="FILE", help="Load a one-file plugin too. May be given several times."),
    ] = None,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Load no plugin of an installed package, only those of --plugin.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Takes the options that hold for every command; `--plugin`, `--no-plugins` and `--debug` may stand anywhere."""
    configure(files=plugin or (), enabled=not no_plugins)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
