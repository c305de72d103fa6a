"""`cobra-kit status`: how far a study is.

Only the options stand here; what the command does is in `status_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.options import JsonOption


def status(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="URL", help="The database that it was started with, if any.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every trial of a study: its state, progress, worker, error and time left."""
    from cobra_kit.cli import status_action

    status_action.status(study, storage=storage, as_json=as_json)
