"""A bench as one HTML page: time per token over the context, in the look of the report."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cobra_kit.bench import BenchResult, Crossover
from cobra_kit.bench.curves import curves
from cobra_kit.cli.bench_text import notes, tables
from cobra_kit.report.html.blocks import PageSection, figures_block, table_block
from cobra_kit.report.html.page import document
from cobra_kit.report.html.rendering import render
from cobra_kit.report.plots import Bound, Curve, Figure, line_plot

_TABLE_WIDTH = 140


def render_page(result: BenchResult) -> str:
    """Returns the page; it needs no network and follows the reader's light or dark."""
    lines = tables(result, _TABLE_WIDTH)
    without = [[skipped.name, skipped.reason] for skipped in result.not_run]
    sections = [
        PageSection("Time per token", _plots(result)),
        PageSection("All numbers", render("code", text="\n".join(lines[2:]))),
        PageSection("Not run", table_block("Left out, and why", ["what", "why"], without, text_columns=2)),
        PageSection("How it was measured", render("notes", lines=notes(result, wide=True))),
    ]
    return document("Speed", sections, description=result.statement)


def _plots(result: BenchResult) -> Markup:
    """Returns one plot per dtype and number of rows; nothing where no model was measured at two contexts."""
    figures = []
    for setting, own in curves(result.measurements).items():
        drawn = [
            Curve(name, [(context, seconds * 1e3) for context, seconds in points], index)
            for index, (name, points) in enumerate(own.items())
        ]
        if all(len(curve.points) < 2 for curve in drawn):
            continue
        crossings = [crossing for name, crossing in result.crossovers.items() if name.startswith(f"{setting}: ")]
        plot = line_plot(
            drawn,
            label=f"milliseconds per token over the context, {setting}",
            axis="context, tokens",
            log=None,
            log_axis=None,
            dots=True,
            zero=True,
            bounds=_bounds(crossings),
        )
        figures.append(Figure(f"ms per token, {setting}", plot, "; ".join(crossing.sentence for crossing in crossings)))
    names = list(dict.fromkeys(measurement.subject for measurement in result.measurements))
    return figures_block(figures, legend=names)


def _bounds(crossings: Sequence[Crossover]) -> list[Bound]:
    return [Bound("crossover", crossing.context) for crossing in crossings if crossing.context is not None]
