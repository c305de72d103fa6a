"""`cobra-kit score`: a file of predictions, whoever's model made it, against a benchmark's official files.

Only the options stand here; what the command does is in `score_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.options import JsonOption


def score(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="A name from `plugins list --kind benchmark`.")],
    predictions: Annotated[
        Path, typer.Option("--predictions", metavar="P", help="Predictions in the official result form.")
    ],
    annotations: Annotated[
        Path, typer.Option("--annotations", metavar="A", help="The official answers: a file, or a folder of parts.")
    ],
    questions: Annotated[
        Path | None, typer.Option("--questions", metavar="Q", help="The official questions, where they are apart.")
    ] = None,
    rule: Annotated[
        str | None, typer.Option("--rule", metavar="R", help="Another rule; see `plugins list --kind scoring_rule`.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Score what is there where questions or predictions are left over.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score a file of predictions by a benchmark's own rule and say by which.

    Every question needs one prediction and every prediction its question; --allow-missing leaves out the rest and says
    how much that was.
    """
    from cobra_kit.cli import score_action

    score_action.score(
        benchmark, predictions, annotations, questions, rule=rule, allow_missing=allow_missing, as_json=as_json
    )
