"""`cobra-kit reproduce`: a table of the paper, cell by cell.

Only the options stand here; what the command does is in `reproduce_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.options import JsonOption


def reproduce(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="paper.table2, 3, 4, 5 or 7.")],
    studies: Annotated[Path, typer.Option("--studies", metavar="DIR", help="Where finished studies are.")] = Path(
        "studies"
    ),
    run: Annotated[bool, typer.Option("--run", help="Run, or go on with, what this machine can.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare finished studies with a table of the paper: each cell is met, missed or not run, and why.

    Names the recipe behind each row. A result of the laptop profile stands beside a cell and never meets it.
    """
    from cobra_kit.cli import reproduce_action

    reproduce_action.reproduce(table, studies=studies, run=run, as_json=as_json)
