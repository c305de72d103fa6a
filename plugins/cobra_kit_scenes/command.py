"""`cobra-kit data scenes`: draws the embedded world to a folder."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cobra_kit_scenes import SceneDataset


def scenes(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of pictures and questions.")] = 0,
    train: Annotated[int, typer.Option("--train", metavar="N", help="Training pictures.")] = 12_000,
    val: Annotated[int, typer.Option("--val", metavar="N", help="Pictures for selection.")] = 600,
    test: Annotated[int, typer.Option("--test", metavar="N", help="Pictures scored once.")] = 1_000,
    towers: Annotated[int, typer.Option("--towers", metavar="N", help="Pictures for pretraining small encoders.")] = 0,
    png: Annotated[bool, typer.Option("--png", help="Also write every picture as a PNG file.")] = False,
) -> None:
    """Draw the embedded world: images, LLaVA rows and benchmark files that cannot be guessed.

    The benchmark files of a split have the official forms of all nine benchmarks.

    Prints, per benchmark, what an oracle that never sees an image scores (floor) and the best possible score
    (ceiling).
    """
    from cobra_kit_scenes import SceneDataset, SceneParams, generate
    from cobra_kit_scenes.further_forms import write_further_forms

    params = SceneParams.checked(seed=seed, train=train, val=val, test=test, towers=towers)
    with _bar("drawing") as progress:
        generate(params, out, progress=progress)
    world = SceneDataset(out)
    write_further_forms(world)
    sizes = ", ".join(f"{params.size(split)} {split}" for split in world.splits)
    typer.echo(f"{out}: {sizes} pictures")
    if png:
        typer.echo(f"{out / 'images'}: {world.export_png(out / 'images')} PNG files")
    if train and test:
        _print_reach(world)


def _print_reach(world: SceneDataset) -> None:
    from cobra_kit_scenes import BENCHMARKS, reach

    bounds = reach(world, "test")
    typer.echo(f"{'test':<18}{'questions':>10}{'floor':>8}{'ceiling':>9}")
    for name in BENCHMARKS:
        item = bounds[name]
        scores = "" if math.isnan(item.floor) else f"{item.floor:>8.1f}{item.ceiling:>9.1f}"
        typer.echo(f"{name:<18}{item.questions:>10}{scores}")


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Gives a progress callback that draws a bar on stderr; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label)
        yield lambda done, total: bar.update(task, completed=done, total=total)
