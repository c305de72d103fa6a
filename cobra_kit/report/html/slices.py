"""One plot per parameter of a sweep: the first objective against what was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cobra_kit.report.html.blocks import figures_block
from cobra_kit.report.plots import Figure, Point, scatter_plot
from cobra_kit.report.plots.strips import strip_plot
from cobra_kit.report.sweep import Parameter, SweepView


def slice_plots(sweep: SweepView) -> Markup:
    """Returns the plots; a parameter that had one value only has none."""
    objective = sweep.objectives[0].name
    figures = []
    for name in sweep.parameter_names:
        chosen = [(t.parameters[name], t.values[0], t.number) for t in sweep.complete if name in t.parameters]
        if len({repr(value) for value, _, _ in chosen}) < 2:
            continue
        title = f"{objective} by {name}"
        figures.append(Figure(title, _plot(chosen, title, name)))
    return figures_block(figures)


def _plot(chosen: Sequence[tuple[Parameter, float, int]], title: str, name: str) -> Markup:
    numbers = [
        Point(f"trial {number}", float(value), result, class_="trial")
        for value, result, number in chosen
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) == len(chosen):
        return scatter_plot(numbers, label=title, axis=name)
    strips = [(str(value), result, f"trial {number}") for value, result, number in chosen]
    return strip_plot(strips, label=title)
