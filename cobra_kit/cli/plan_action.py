"""The work of `cobra-kit plan`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import typer

from cobra_kit import columns
from cobra_kit.estimate.hardware import check_names
from cobra_kit.events import Event, Message
from cobra_kit.formatting import escaped_json, printable_lines
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan.study_plan import make_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArguments:
    """The arguments of `cobra-kit plan`, as they were typed."""

    recipe: str
    profile: str | None
    changes: tuple[str, ...]
    hardware: tuple[str, ...]
    devices: int
    price: float | None
    rows: int | None
    text_tokens: int | None
    fresh: bool
    as_json: bool


def plan(arguments: PlanArguments) -> None:
    """Prints what a recipe takes."""
    names, price = check_names(arguments.hardware), arguments.price
    study = make_plan(load_recipe(arguments.recipe, profile=arguments.profile, overrides=arguments.changes))

    from cobra_kit.cli.plan_json import to_json  # torch comes in only now: a wrong recipe is told at once
    from cobra_kit.cli.plan_text import render
    from cobra_kit.estimate.workload import Assumed
    from cobra_kit.forecast.forecast import forecast

    predicted = forecast(
        study,
        hardware=names,
        devices=arguments.devices,
        assumed=Assumed(arguments.rows, arguments.text_tokens),
        fresh=arguments.fresh,
        report=_progress,
    )
    if arguments.as_json:
        typer.echo(escaped_json(json.dumps(to_json(predicted, names, price), indent=2, ensure_ascii=False)))
    else:
        typer.echo("\n".join(render(predicted, names, price, columns.width() or 80)))


def _progress(event: Event, /) -> None:
    if isinstance(event, Message) and sys.stderr.isatty():
        typer.echo(printable_lines(event.text), err=True)
