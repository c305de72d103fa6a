"""The work of `cobra-kit status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import typer

from cobra_kit.cli.progress import print_message
from cobra_kit.cli.status_text import status_lines
from cobra_kit.cli.storage_option import storage_option
from cobra_kit.columns import width
from cobra_kit.formatting import escaped_json
from cobra_kit.study.reading.status import study_status
from cobra_kit.study.reading.stored_study import read_study


def status(study: Path, *, storage: str | None, as_json: bool) -> None:
    """Prints how far a study is."""
    progress = study_status(study, storage_option(storage), print_message)
    for remark in read_study(study).remarks:
        typer.echo(f"note  {remark}", err=True)
    if as_json:
        typer.echo(escaped_json(json.dumps(asdict(progress), ensure_ascii=False, indent=2)))
        return
    lines = status_lines(progress, width())
    if not sys.stdout.isatty():
        for line, _ in lines:
            typer.echo(line)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line, style in lines:
        console.print(Text(line, style=style), soft_wrap=True)
