"""The work of `cobra-kit recipes calibrate`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import typer

from cobra_kit.cli.arguments import UsageError
from cobra_kit.cli.calibrate_text import calibration_lines
from cobra_kit.cli.exit_codes import FAILED, OK
from cobra_kit.columns import width
from cobra_kit.errors import CobraError
from cobra_kit.formatting import escaped_json
from cobra_kit.names import path_word
from cobra_kit.recipe import load_recipe
from cobra_kit.report import Calibration, ReferenceScore
from cobra_kit.report.calibration import HIGHEST, LOWEST
from cobra_kit.study.execution.run_study import STUDIES
from cobra_kit.study.plan.study_plan import study_name
from cobra_kit.study.reading.results import study_calibration
from cobra_kit.study.reading.stored_study import StoredStudy, read_study


def calibrate(study_or_recipe: str, *, profile: str | None, as_json: bool) -> int:
    """Prints where a study's reference arm stands and returns the exit status: whether arms can be told apart.

    Raises:
        CobraError: There is no study, its reference has no finished run, or it asked no benchmark.
    """
    study = _study(study_or_recipe, profile)
    for remark in study.remarks:
        typer.echo(f"note  {remark}", err=True)
    calibration = study_calibration(study)
    if as_json:
        plain = {"study": study.trials_name, "path": str(study.path), **_plain(calibration)}
        typer.echo(escaped_json(json.dumps(plain, indent=2, ensure_ascii=False)))
    else:
        typer.echo("\n".join(calibration_lines(study.trials_name, calibration, width())))
    return OK if calibration.holds else FAILED


def _study(study_or_recipe: str, profile: str | None) -> StoredStudy:
    """Returns the study in a folder, or that of a recipe where `cobra-kit run` puts it."""
    if os.path.isdir(study_or_recipe):
        if profile is not None:
            raise UsageError(f"--profile is for a recipe, and {study_or_recipe} is a study's folder")
        return read_study(Path(study_or_recipe))
    recipe = load_recipe(study_or_recipe, profile=profile)
    path = STUDIES / study_name(recipe)
    if not path.is_dir():
        command = f"cobra-kit run {path_word(study_or_recipe)}{f' --profile {profile}' if profile else ''}"
        raise CobraError(
            "the recipe has no study yet", where=str(path), hint=f"`{command}` makes it; or name a study's folder."
        )
    return read_study(path)


def _plain(calibration: Calibration) -> dict[str, Any]:
    return {
        "reference": calibration.reference,
        "seeds": list(calibration.seeds),
        "enough_seeds": calibration.enough_seeds,
        "lowest": LOWEST,
        "highest": HIGHEST,
        "holds": calibration.holds,
        "outside": [score.name for score in calibration.outside],
        "not_scored": list(calibration.not_scored),
        "paired": calibration.paired,
        "benchmarks": [_plain_score(score) for score in calibration.benchmarks],
    }


def _plain_score(score: ReferenceScore) -> dict[str, Any]:
    names = ("name", "questions", "floor", "ceiling", "mean", "way", "deviation", "detectable", "position")
    plain = {name: getattr(score, name) for name in names}
    return plain | ({"groups": [_plain_score(group) for group in score.groups]} if score.groups else {})
