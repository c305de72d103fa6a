"""Plots as inline SVG: no library, no script, colours from the page's style sheet.

interval_plot(rows, ...), line_plot(curves, ...), scatter_plot(points, ...), bar_plot(bars, ...)
"""

from __future__ import annotations

from cobra_kit.report.plots.bars import bar_plot
from cobra_kit.report.plots.frame import Figure, swatch
from cobra_kit.report.plots.intervals import Bound, PlotInterval, interval_plot
from cobra_kit.report.plots.lines import Curve, line_plot, thinned
from cobra_kit.report.plots.scatter import Direction, Point, pareto_front, scatter_plot

__all__ = [
    "Bound",
    "Curve",
    "Direction",
    "Figure",
    "PlotInterval",
    "Point",
    "bar_plot",
    "interval_plot",
    "line_plot",
    "pareto_front",
    "scatter_plot",
    "swatch",
    "thinned",
]
