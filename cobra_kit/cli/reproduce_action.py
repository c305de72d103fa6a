"""The work of `cobra-kit reproduce`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import typer

from cobra_kit import columns
from cobra_kit.cli.progress import progress
from cobra_kit.cli.run_action import heading
from cobra_kit.cli.tables import WIDTH, terminal_width
from cobra_kit.formatting import escaped_json
from cobra_kit.reproduce import Cell, ReproducedRow, Reproduction, reproduction, run_missing
from cobra_kit.reproduce.needs import benchmark_name
from cobra_kit.study.execution.run_study import run_plan
from cobra_kit.study.plan.study_plan import StudyPlan


def reproduce(name: str, *, studies: Path, run: bool, as_json: bool) -> None:
    """Prints a table of the paper, cell by cell; with `run`, does first what this machine can."""
    reproduced = reproduction(name, studies)
    if run:
        for attempt in run_missing(reproduced, studies, _start):
            typer.echo(f"{attempt.recipe}: {attempt.why_not or 'run'}", err=True)
        reproduced = reproduction(name, studies)
    if as_json:
        typer.echo(escaped_json(json.dumps(_plain(reproduced), indent=2, ensure_ascii=False)))
    else:
        typer.echo("\n".join(_lines(reproduced, columns.width() or WIDTH)))


def _start(plan: StudyPlan, path: Path) -> None:
    for line in heading(plan, path, terminal_width(sys.stderr.isatty())):
        typer.echo(line, err=True)
    with progress(plan) as report:
        run_plan(plan, path, report=report)


def _lines(reproduced: Reproduction, width: int) -> list[str]:
    title = f"{reproduced.table.title}: {reproduced.table.caption} ({reproduced.table.source})"
    lines = [columns.paragraph(title, indent="", limit=width)]
    decimals = 2 if reproduced.table.measures == "latency" else 1
    for row in reproduced.rows:
        lines += ["", *_row(row, width, decimals)]
    counts = "cells: " + ", ".join(f"{reproduced.count(verdict)} {verdict}" for verdict in ("met", "missed", "not run"))
    return [*lines, "", *(columns.paragraph(text, indent="", limit=width) for text in (counts, reproduced.rule))]


def _row(row: ReproducedRow, width: int, decimals: int) -> list[str]:
    lines = [columns.paragraph(f"{row.name}: {_sources(row)}", indent="", limit=width)]
    if row.needs:
        lines.append(columns.paragraph(f"lacks here: {'; '.join(row.needs)}", indent="  ", limit=width))
    # One reason for many cells is said once.
    for verdict, reason in dict.fromkeys((cell.verdict, cell.reason) for cell in row.cells):
        cells = [cell for cell in row.cells if (cell.verdict, cell.reason) == (verdict, reason)]
        # What is lacking stands above already, and is long.
        shown = "needs what is lacking" if row.needs and reason == f"needs {'; '.join(row.needs)}" else reason
        text = f"{verdict}: {', '.join(_cell(cell, decimals) for cell in cells)}" + (f" ({shown})" if shown else "")
        lines.append(columns.paragraph(text, indent="  ", limit=width))
    beside = [score for cell in row.cells for score in cell.beside]
    for study, why_not in dict.fromkeys((score.study, score.why_not) for score in beside):
        own = [score for score in beside if (score.study, score.why_not) == (study, why_not)]
        scores = ", ".join(f"{score.benchmark} {score.value:.1f}" for score in own)
        lines.append(columns.paragraph(f"{why_not} (not comparable), {study}: {scores}", indent="  ", limit=width))
    return lines


def _sources(row: ReproducedRow) -> str:
    return "; ".join(map(str, row.sources)) if row.sources else "no recipe"


def _cell(cell: Cell, decimals: int) -> str:
    name = benchmark_name(cell.column)
    if cell.ours is None or cell.low is None or cell.high is None:
        return f"{name} {cell.paper:.{decimals}f}"
    return f"{name} {cell.paper:.{decimals}f}, ours {cell.ours:.1f} [{cell.low:.2f}, {cell.high:.2f}]"


def _plain(reproduced: Reproduction) -> dict[str, object]:
    rows = [
        {
            "row": row.name,
            "recipes": [{"recipe": source.recipe, "arm": source.arm} for source in row.sources],
            "lacks": list(row.needs),
            "cells": [asdict(cell) for cell in row.cells],
        }
        for row in reproduced.rows
    ]
    return {"table": reproduced.table.name, "source": reproduced.table.source, "rule": reproduced.rule, "rows": rows}
