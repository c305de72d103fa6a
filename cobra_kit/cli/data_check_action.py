"""The work of `cobra-kit data check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from cobra_kit import columns
from cobra_kit.cli.exit_codes import FAILED
from cobra_kit.cli.progress import progress
from cobra_kit.data.check.findings import BAD, NOTED, DataReport
from cobra_kit.data.check.recipe_data import check_data
from cobra_kit.files import expanded
from cobra_kit.formatting import escaped_json, printable_lines
from cobra_kit.names import path_word
from cobra_kit.recipe import load_recipe


def check(recipe: str, *, profile: str | None, changes: Sequence[str], quarantine: Path, as_json: bool) -> None:
    """Prints what was found; exits with 1 if training may not start."""
    loaded = load_recipe(recipe, profile=profile, overrides=changes)
    file = expanded(quarantine)
    with progress(None) as report:
        result = check_data(loaded, file, report=report)
    if as_json:
        value = {**result.to_json(), "quarantine": str(file) if result.bad_rows else None}
        typer.echo(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))
    else:
        typer.echo(printable_lines("\n".join(_text(result, file)), columns.width() or 2000))
    if not result.may_start:
        raise typer.Exit(FAILED)


def _text(result: DataReport, file: Path) -> list[str]:
    listed = f", {result.quarantined:,} of them left out by the quarantine list" if result.quarantined else ""
    lines = [f"{result.rows:,} rows{listed}, {result.images:,} pictures, checked in {result.seconds:.1f} s", ""]
    for name, what in {**BAD, **NOTED}.items():
        kind = result.kinds[name]
        lines.append(f"{kind.count:>9,}  {what}")
        lines += [f"{'':>11}{example}" for example in kind.examples]
        if kind.count > len(kind.examples) and kind.examples and name != "cut":
            lines.append(f"{'':>11}and {kind.count - len(kind.examples):,} more")
    if result.cut:
        lines.append(f"{'':>11}{result.cut}")
    if result.no_texts:
        lines += ["", f"lengths and supervision were not looked at: {result.no_texts}"]
    if result.marked:
        lines += ["", "Rows as the model reads them, what it learns between « and »:"]
        lines += [f"  {line}" for row in result.marked for line in row.splitlines()]
    return [*lines, "", *_verdict(result, file)]


def _verdict(result: DataReport, file: Path) -> list[str]:
    if result.may_start:
        return ["Training may start."]
    if not result.bad_rows:
        return ["Training may not start: no row is left."]
    return [
        f"Training may not start: {result.bad_rows:,} rows cannot be trained on. Mend them, or leave them out:",
        f"  --set data.quarantine={path_word(file)}",
    ]
