"""The work of `cobra-kit data check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from cobra_kit import columns
from cobra_kit.cli.exit_codes import FAILED
from cobra_kit.cli.progress import progress
from cobra_kit.data.check.findings import BAD, NOTED
from cobra_kit.data.check.recipe_data import SourceCheck, check_data
from cobra_kit.files import expanded
from cobra_kit.formatting import escaped_json, printable_lines
from cobra_kit.names import path_word
from cobra_kit.recipe import load_recipe


def check(recipe: str, *, profile: str | None, changes: Sequence[str], quarantine: Path, as_json: bool) -> None:
    """Prints what was found; exits with 1 if training may not start."""
    loaded = load_recipe(recipe, profile=profile, overrides=changes)
    file = expanded(quarantine)
    with progress(None) as report:
        checks = check_data(loaded, file, report)
    if as_json:
        values = [_plain(check) for check in checks]
        value = {"sources": values} if isinstance(loaded.data, list) else values[0]
        typer.echo(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))
    else:
        lines: list[str] = []
        for check in checks:
            heading = [f"{check.label}:"] if len(checks) > 1 else []
            lines += [*([""] if lines else []), *heading, *_text(check)]
        typer.echo(printable_lines("\n".join(lines), columns.width() or 2000))
    if not all(check.report.may_start for check in checks):
        raise typer.Exit(FAILED)


def _plain(check: SourceCheck) -> dict[str, Any]:
    listed = str(check.quarantine) if check.report.bad_rows else None
    return {"source": check.label, **check.report.to_json(), "quarantine": listed}


def _text(check: SourceCheck) -> list[str]:
    result = check.report
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
    return [*lines, "", *_verdict(check)]


def _verdict(check: SourceCheck) -> list[str]:
    result = check.report
    if result.may_start:
        return ["Training may start."]
    if not result.bad_rows:
        return ["Training may not start: no row is left."]
    return [
        f"Training may not start: {result.bad_rows:,} rows cannot be trained on. Mend them, or leave them out:",
        f"  --set {check.label}.quarantine={path_word(check.quarantine)}",
    ]
