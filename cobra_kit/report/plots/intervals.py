"""Scores or differences as dots on a line, one line each, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cobra_kit.report.plots.frame import WIDTH, colour, dot, drawing, line, text, text_width, x_axis
from cobra_kit.report.plots.scales import fitted
from cobra_kit.report.svg import element

_ROW, _TOP, _MOST_NAME = 22.0, 6.0, 130.0


@dataclass(frozen=True, slots=True)
class PlotInterval:
    """One line of the plot.

    Args:
        name: The text that stands beside the line.
        value: The value that the dot stands at.
        low: Where its interval begins; None without one.
        high: Where the interval ends; None without one.
        colour: Index of its colour.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A vertical line, such as the floor."""

    name: str
    value: float


def interval_plot(
    rows: Sequence[PlotInterval], *, label: str, axis: str, bounds: Sequence[Bound] = (), limits: bool = False
) -> Markup:
    """Returns the plot.

    Args:
        rows: The lines to draw, from top to bottom.
        label: What a screen reader says.
        axis: Name and unit of the axis.
        bounds: Lines across all rows.
        limits: Whether values are points between 0 and 100, which the axis then does not leave.
    """
    left = min(_MOST_NAME, max(text_width(row.name) for row in rows)) + 10
    bottom = _TOP + _ROW * len(rows)
    values = [value for row in rows for value in (row.value, row.low, row.high) if value is not None]
    values += [bound.value for bound in bounds]
    scale = fitted(values, left, WIDTH - 12, least=0.0 if limits else None, most=100.0 if limits else None)
    parts = [x_axis(scale, _TOP, bottom, axis)]
    for bound in bounds:
        x = scale(bound.value)
        title = element("title", f"{bound.name} {bound.value:.1f}")
        parts.append(element("g", title, line(x, _TOP, x, bottom, class_=f"bound {bound.name}")))
    for index, row in enumerate(rows):
        y = _TOP + _ROW * (index + 0.5)
        parts.append(text(left - 8, y + 4, row.name, anchor="end", most=_MOST_NAME))
        if row.low is not None and row.high is not None:
            parts.append(line(scale(row.low), y, scale(row.high), y, class_=f"whisker {colour(row.colour)}"))
        parts.append(dot(scale(row.value), y, class_=colour(row.colour), title=_text_of(row), radius=4.5))
    return drawing(bottom + 34, parts, label=label)


def _text_of(row: PlotInterval) -> str:
    if row.low is None or row.high is None:
        return f"{row.name}: {row.value:.1f}"
    return f"{row.name}: {row.value:.1f} [{row.low:.1f}, {row.high:.1f}]"
