"""A bench as one HTML page: time per token over the context, in the look of the report."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.bench import BenchResult, Crossover
from cobra_kit.bench.curves import curves
from cobra_kit.cli.bench_text import notes, tables
from cobra_kit.report.html.blocks import grid_of, paragraphs, section, table
from cobra_kit.report.html.page import document
from cobra_kit.report.markup import Markup, element, join
from cobra_kit.report.plots import Bound, Curve, figure, legend, line_plot

_TABLE_WIDTH = 140


def render_page(result: BenchResult) -> str:
    """Returns the page; it needs no network and follows the reader's light or dark."""
    lines = tables(result, _TABLE_WIDTH)
    without = [[skipped.name, skipped.reason] for skipped in result.not_run]
    sections = [
        section("Time per token", _plots(result)),
        section("All numbers", element("pre", element("code", "\n".join(lines[2:])), tabindex=0)),
        section("Not run", table("Left out, and why", ["what", "why"], without, words=2) if without else Markup()),
        section("How it was measured", paragraphs(notes(result, wide=True))),
    ]
    return document("Speed", [element("p", result.statement)], sections)


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
        figures.append(
            figure(f"ms per token, {setting}", plot, "; ".join(crossing.words for crossing in crossings) or None)
        )
    names = list(dict.fromkeys(measurement.subject for measurement in result.measurements))
    return join([legend(names), grid_of(figures)]) if figures else Markup()


def _bounds(crossings: Sequence[Crossover]) -> list[Bound]:
    return [Bound("crossover", crossing.context) for crossing in crossings if crossing.context is not None]
