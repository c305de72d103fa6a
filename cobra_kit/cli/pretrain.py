"""`cobra-kit pretrain`: makes the weights of a small vision encoder or backbone from a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobra_kit.cli.options import SetOption
from cobra_kit.formatting import printable_lines

if TYPE_CHECKING:
    from cobra_kit.events import Event
    from cobra_kit.interfaces import Probe


def pretrain(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A file, or towers/siglip_tiny, backbones/mamba_tiny_chat, ...")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The safetensors file to write.")],
    changes: SetOption = None,
    threads: Annotated[
        int, typer.Option("--threads", metavar="N", min=1, help="Threads of torch; 1 gives the same weights again.")
    ] = 1,
) -> None:
    """Pretrain a small vision encoder on images, or a small backbone on texts, as a plugin's task says, and probe it.

    A killed run goes on where it was: what it needs is kept beside FILE with .resume in its name, and removed at the
    end.
    """
    import torch

    from cobra_kit.recipe.pretraining import pretrained_part

    kind = pretrained_part(recipe, overrides=changes or ())
    torch.set_num_threads(threads)
    lines = (_backbone if kind == "backbone" else _encoder)(recipe, out, changes or ())
    for line in lines:
        typer.echo(line)


def _encoder(recipe: str, out: Path, changes: Sequence[str]) -> list[str]:
    """Pretrains a vision encoder; returns what to print."""
    from cobra_kit.train.encoders import load_pretrain_recipe, pretrain, save_encoder

    plan = load_pretrain_recipe(recipe, overrides=changes)
    result = pretrain(plan, resume=out.with_name(f"{out.stem}.resume.safetensors"), report=_print)
    idle = save_encoder(out, result, {"component": plan.component.qualified, "recipe": plan.name})
    lines = [f"{out}: {out.stat().st_size:,} bytes, {result.seconds:,.0f} processor seconds of training"]
    if idle:
        lines.append(f"left out, since they never run: {len(idle)} tensors")
    return lines + probe_table(result.probes)


def _backbone(recipe: str, out: Path, changes: Sequence[str]) -> list[str]:
    """Pretrains a backbone; returns what to print, the figures of its card."""
    from cobra_kit.train.backbones import card_figures, load_backbone_recipe, pretrain_backbone, save_backbone

    plan = load_backbone_recipe(recipe, overrides=changes)
    result = pretrain_backbone(plan, resume=out.with_name(f"{out.stem}.resume"), report=_print)
    save_backbone(out, result, plan)
    words = ["cobra-kit", "pretrain", recipe, "--out", out.name, *(f"--set={change}" for change in changes)]
    return card_figures(plan, result, out, shlex.join(words))


def probe_table(probes: list[Probe]) -> list[str]:
    """Returns the lines of a table of probes, in percent."""
    lines = [f"{'linear probe':<20}{'right':>8}{'chance':>8}{'answers':>9}"]
    lines += [f"{p.name:<20}{100 * p.accuracy:>8.1f}{100 * p.chance:>8.1f}{p.examples:>9,}" for p in probes]
    return lines


def _print(event: Event) -> None:
    from cobra_kit.events import Message, StepDone

    if isinstance(event, Message):
        typer.echo(printable_lines(event.text), err=True)
    elif isinstance(event, StepDone) and event.step < event.steps:
        typer.echo(f"{event.step / event.steps:>4.0%}  {event.seconds_left:,.0f} s left", err=True)
