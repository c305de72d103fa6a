"""What `cobra-kit plan` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import typer

from cobra_kit import columns
from cobra_kit.estimate.hardware import check_names
from cobra_kit.events import Event, Message
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan.study_plan import make_plan


def plan(
    recipe: str,
    *,
    profile: str | None,
    changes: Sequence[str],
    hardware: Sequence[str],
    devices: int,
    price: float | None,
    rows: int | None,
    text_tokens: int | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Prints what a recipe takes."""
    names = check_names(hardware)
    study = make_plan(load_recipe(recipe, profile=profile, overrides=changes))

    from cobra_kit.cli.plan_json import to_json  # torch comes in only now: a wrong recipe is told at once
    from cobra_kit.cli.plan_text import render
    from cobra_kit.estimate.workload import Assumed
    from cobra_kit.forecast.forecast import forecast

    found = forecast(
        study, hardware=names, devices=devices, assumed=Assumed(rows, text_tokens), fresh=fresh, report=_progress
    )
    if as_json:
        typer.echo(json.dumps(to_json(found, names, price), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(render(found, names, price, columns.width() or 80)))


def _progress(event: Event, /) -> None:
    if isinstance(event, Message) and sys.stderr.isatty():
        typer.echo(event.text, err=True)
