"""`cobra-kit export` and `cobra-kit import`: models as others' checkpoints, and back."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.options import ProfileOption, SetOption
from cobra_kit.exchange.formats import FORMATS

Written = Enum("Written", {name: name for name, form in FORMATS.items() if form.writes})  # type: ignore[misc]
Read = Enum("Read", {name: name for name, form in FORMATS.items() if form.reads})  # type: ignore[misc]
Dtype = Enum("Dtype", {name: name for name in ("float32", "bfloat16", "float16")})  # type: ignore[misc]

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write, whole or not at all.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a folder that an import or export wrote.")]


def formats(doing: str) -> str:
    """Returns what each format reads, or writes, a line each, for the help text."""
    texts = {name: getattr(form, doing) for name, form in FORMATS.items()}
    lines = [f"  {name:<12}{text}" for name, text in texts.items() if text]
    return "\n".join(["\b", "Formats:", *lines])


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run's folder, or one of save_pretrained.")],
    form: Annotated[Written, typer.Option("--format", help="What to write.")],
    out: OutOption,
    dtype: Annotated[
        Dtype | None, typer.Option("--dtype", help="Floating-point type of the weights; as they are unless given.")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Write a trained model as a checkpoint that others read."""
    import torch

    from cobra_kit.arguments import file_path
    from cobra_kit.exchange import export_model
    from cobra_kit.exchange.output import check_output
    from cobra_kit.study import load

    check_output(out, force=force, source=file_path(model, "MODEL"))
    loaded = load(model, dtype=None if dtype is None else getattr(torch, dtype.name))
    notes = export_model(loaded, format=form.name, out=out, force=force)
    _say([*notes, f"wrote {out}"])


def import_(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A file, or the folder of one.")],
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="The model it belongs to: a file, or a name from `recipes list`.")
    ],
    out: OutOption,
    form: Annotated[
        Read | None, typer.Option("--format", help="What to read; told by the names in the file unless given.")
    ] = None,
    profile: ProfileOption = None,
    arm: Annotated[str | None, typer.Option("--arm", help="One arm of an ablation.")] = None,
    changes: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Read a checkpoint of others into the model of a recipe.

    What the checkpoint lacks keeps the weights that the recipe names. The folder is one for cobra_kit.load.
    """
    from cobra_kit.exchange import import_checkpoint

    notes = import_checkpoint(
        checkpoint,
        recipe=recipe,
        out=out,
        format=None if form is None else form.name,
        profile=profile,
        arm=arm,
        overrides=changes or (),
        force=force,
    )
    _say([*notes, f"wrote {out}; open it with cobra_kit.load({str(out)!r})"])


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)
