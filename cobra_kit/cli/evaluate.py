"""`cobra-kit evaluate`: more questions to a trained run, of any benchmark that a plugin has.

Only the options stand here; what the command does is in `evaluate_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.options import DeviceOption, JsonOption


def evaluate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's folder, STUDY/ARM-sSEED, or a folder with a saved model.")
    ],
    benchmarks: Annotated[
        str | None,
        typer.Option(
            "--benchmarks", metavar="A,B", help="Names from `plugins list --kind benchmark`; else the recipe's."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="N questions of each, drawn with a fixed seed.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="S", help="The split, as the files call it; else the protocol's.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Where the files are: DIR/NAME of each, else DIR.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A=B", help="A setting of the benchmarks. May be given several times."),
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Ask a trained run the questions of any benchmark and say how it was asked.

    Stopped at any moment, the same command goes on: no question is asked twice. The results join the study's table.
    """
    from cobra_kit.cli import evaluate_action

    evaluate_action.evaluate(
        run, benchmarks, limit=limit, split=split, root=root, changes=changes or (), device=device, as_json=as_json
    )
