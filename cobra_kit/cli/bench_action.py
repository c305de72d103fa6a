"""The work of `cobra-kit bench`."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import typer

from cobra_kit import columns
from cobra_kit.bench import BenchResult, Settings, bench_systems, subjects_of, systems_of, to_plain, write_record
from cobra_kit.bench import bench as run_bench
from cobra_kit.bench.record import check_folder
from cobra_kit.bench.settings import COBRA, GENERAL, PAPER_TOKENS, image_numbers, numbers
from cobra_kit.bench.systems import LAPTOP, is_table
from cobra_kit.cli.arguments import UsageError
from cobra_kit.cli.bench_page import render_page
from cobra_kit.cli.bench_text import render
from cobra_kit.cli.exit_codes import INTERRUPTED, OK
from cobra_kit.errors import CobraError
from cobra_kit.files import write_text
from cobra_kit.formatting import escaped_json
from cobra_kit.model.device import device_named

PAGE = "bench.html"
_TOKENS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchArguments:
    """The arguments of `cobra-kit bench`, as they were typed."""

    recipe: str
    profile: str | None
    changes: tuple[str, ...]
    against: str | None
    protocol: str
    weights: str
    prompt_tokens: str
    image_tokens: str
    batch: str
    new_tokens: int | None
    dtype: str | None
    device: str
    graphs: str
    repeats: int
    warmup: int
    memory: bool
    out: Path | None
    as_json: bool

    def settings(self, *, default_protocol: str) -> Settings:
        """Returns the options, checked.

        Raises:
            CobraError: A value is wrong; it names the option.
        """
        protocol = self.protocol or default_protocol
        if protocol == COBRA and self.new_tokens not in (None, PAPER_TOKENS):
            raise CobraError(
                f"the paper's protocol has exactly {PAPER_TOKENS} new tokens, not {self.new_tokens}",
                where="--new-tokens",
                hint="Leave it out, or choose --protocol general.",
            )
        usual = "bfloat16" if device_named(self.device).type == "cuda" else "float32"
        return Settings(
            protocol=protocol,
            weights=self.weights,
            device=self.device,
            dtypes=tuple(dict.fromkeys(word.strip() for word in (self.dtype or usual).split(","))),
            batch=numbers(self.batch, "--batch"),
            prompt_tokens=numbers(self.prompt_tokens, "--prompt-tokens"),
            image_tokens=image_numbers(self.image_tokens),
            new_tokens=self.new_tokens or (PAPER_TOKENS if protocol == COBRA else _TOKENS),
            repeats=self.repeats,
            warmup=self.warmup,
            graphs=cast("Any", self.graphs),
            memory=self.memory,
        )


def bench(arguments: BenchArguments) -> int:
    """Measures, prints, writes, and returns the exit status."""
    recipe, profile, changes, out = arguments.recipe, arguments.profile, arguments.changes, arguments.out
    if is_table(recipe) and arguments.against is not None:
        raise UsageError("a table of the paper is measured as it is, without --against")
    settings = arguments.settings(default_protocol=COBRA if is_table(recipe) else GENERAL)
    if out is not None:
        check_folder(out)
    if is_table(recipe):
        result = bench_systems(systems_of(recipe, profile, changes), settings, report=_progress)
    else:
        loaded, subjects = subjects_of(recipe, profile=profile, overrides=changes, against=arguments.against)
        laptop = None
        if loaded.profile not in (None, LAPTOP) and LAPTOP in loaded.profile_names:
            laptop = shlex.join(["cobra-kit", "bench", recipe, "--profile", LAPTOP])
        result = run_bench(subjects, settings, recipe=recipe, profile=loaded.profile, laptop=laptop, report=_progress)
    if out is not None:
        _write(result, out)
    if arguments.as_json:
        typer.echo(escaped_json(json.dumps(to_plain(result), indent=2, ensure_ascii=False)))
    else:
        typer.echo("\n".join(render(result, columns.width() or 80)))
    return _status(result, recipe)


def _write(result: BenchResult, out: Path) -> None:
    write_record(result, out)
    if result.measurements:
        write_text(out / PAGE, render_page(result))
    _progress(f"wrote {out}")


def _status(result: BenchResult, recipe: str) -> int:
    if result.interrupted:
        typer.echo(
            f"interrupted: {result.repeats} of {result.settings.repeats} rounds were measured and kept", err=True
        )
        return INTERRUPTED
    if not result.measurements:
        laptop = shlex.join(["cobra-kit", "bench", recipe, "--profile", LAPTOP])
        raise CobraError("nothing of it fits this machine", hint=f"The same architectures in small: {laptop}")
    return OK


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        typer.echo(line, err=True)
