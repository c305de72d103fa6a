"""What `cobra-kit doctor` does."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer

from cobra_kit import columns
from cobra_kit.cli.doctor_text import render, to_json
from cobra_kit.cli.entry import FAILED, OK
from cobra_kit.doctor import examine


def doctor(
    recipe: str | None,
    *,
    backbone: str | None,
    device: str,
    dtype: str,
    profile: str | None,
    changes: Sequence[str],
    as_json: bool,
) -> int:
    """Prints what was found and returns the exit status."""
    found = examine(recipe, backbone=backbone, profile=profile, overrides=changes, device=device, dtype=dtype)
    if as_json:
        typer.echo(json.dumps(to_json(found), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(render(found, columns.width() or 80)))
    return FAILED if found.broken else OK
