"""`cobra-kit doctor`: what is here, which kernels would run, and what would make it faster."""

from __future__ import annotations

from typing import Annotated

import typer

from cobra_kit.cli.options import JsonOption, ProfileOption, SetOption


def doctor(
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="Whose backbones to look at; cobra_tiny unless given.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="NAME", help="A backbone to look at, by its name in `plugins list`."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda; auto: a GPU where there is one.")
    ] = "auto",
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    profile: ProfileOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show versions, devices, compiler, cache, plugins, and which kernel each layer would use here and why.

    Its last line says what would make it faster. The exit status is 1 where something is broken. No weights are
    loaded.
    """
    from cobra_kit.cli import doctor_action

    return doctor_action.doctor(
        doctor_action.DoctorArguments(
            recipe=recipe,
            backbone=backbone,
            device=device,
            dtype=dtype,
            profile=profile,
            changes=tuple(changes or ()),
            as_json=as_json,
        )
    )
