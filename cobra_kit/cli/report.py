"""`cobra-kit report`: the table of a study, and one HTML page with everything behind it.

Only the options stand here; what the command does is in `report_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.report_format import Format


def report(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder, finished or not.")],
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.html,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to; html: STUDY/report.html unless given, others: stdout."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="The database that a sweep was started with, if any."),
    ] = None,
) -> None:
    """Print a study's table and write one HTML page with plots, questions and how to run it again.

    Finished runs are read again, unfinished ones are named. The page needs no network and no other file.
    """
    from cobra_kit.cli import report_action

    report_action.report(study, form=form, out=out, storage=storage)
