"""`cobra-kit plan`: what a recipe will take, before anything is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from cobra_kit.cli.options import JsonOption, ProfileOption, RecipeArgument, SetOption


def plan(
    recipe: RecipeArgument,
    profile: ProfileOption = None,
    changes: SetOption = None,
    hardware: Annotated[
        list[str] | None,
        typer.Option("--hardware", metavar="NAME", help="a100, h100, h200 or cpu (this machine); all unless given."),
    ] = None,
    devices: Annotated[
        int, typer.Option("--devices", metavar="N", min=1, max=10**6, help="Accelerators that share it.")
    ] = 1,
    price: Annotated[
        float | None, typer.Option("--price", metavar="DOLLARS", min=0, help="Per device and hour, instead of listed.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option("--rows", metavar="N", min=1, max=10**12, help="Training rows, instead of those found."),
    ] = None,
    text_tokens: Annotated[
        int | None,
        typer.Option("--text-tokens", metavar="N", min=2, max=10**6, help="Text tokens per row, instead of found."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure this machine's speed again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what each arm takes: parameters, FLOPs, memory, hours, price, and what is missing here.

    Nothing is trained and no weights are loaded. For `cpu` this machine is measured for some seconds, once per model.
    """
    from cobra_kit.cli import plan_action

    plan_action.plan(
        plan_action.PlanArguments(
            recipe=recipe,
            profile=profile,
            changes=tuple(changes or ()),
            hardware=tuple(hardware or ()),
            devices=devices,
            price=price,
            rows=rows,
            text_tokens=text_tokens,
            fresh=fresh,
            as_json=as_json,
        )
    )
