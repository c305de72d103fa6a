"""The work of `cobra-kit doctor`."""

from __future__ import annotations

import json
from dataclasses import dataclass

import typer

from cobra_kit import columns
from cobra_kit.cli.doctor_text import render, to_json
from cobra_kit.cli.exit_codes import FAILED, OK
from cobra_kit.doctor import examine
from cobra_kit.formatting import escaped_json


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorArguments:
    """The arguments of `cobra-kit doctor`, as they were typed."""

    recipe: str | None
    backbone: str | None
    device: str
    dtype: str
    profile: str | None
    changes: tuple[str, ...]
    as_json: bool


def doctor(arguments: DoctorArguments) -> int:
    """Prints what was found and returns the exit status."""
    examination = examine(
        arguments.recipe,
        backbone=arguments.backbone,
        profile=arguments.profile,
        overrides=arguments.changes,
        device=arguments.device,
        dtype=arguments.dtype,
    )
    if arguments.as_json:
        typer.echo(escaped_json(json.dumps(to_json(examination), indent=2, ensure_ascii=False)))
    else:
        typer.echo("\n".join(render(examination, columns.width() or 80)))
    return FAILED if examination.broken else OK
