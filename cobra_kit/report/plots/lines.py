"""Curves over steps, and how many of their points are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from markupsafe import Markup

from cobra_kit.report.plots.frame import WIDTH, colour, dash, dot, drawing, line, polyline, x_axis, y_axis
from cobra_kit.report.plots.intervals import Bound
from cobra_kit.report.plots.scales import fitted
from cobra_kit.report.svg import element

_LEFT, _TOP, _BOTTOM = 46.0, 8.0, 190.0
MOST_POINTS = 160


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a line plot.

    Args:
        name: What stands under the pointer.
        points: (step, value), in order.
        colour: Index of colour and dashes.
        class_: Another class than that colour.
        band: (step, low, high) of what is drawn pale behind the line, in order.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    class_: str = ""
    band: Sequence[tuple[float, float, float]] = ()


def line_plot(
    curves: Sequence[Curve],
    *,
    label: str,
    axis: str,
    log: bool | None = False,
    log_axis: bool | None = False,
    dots: bool = False,
    zero: bool = False,
    bounds: Sequence[Bound] = (),
    levels: Sequence[Bound] = (),
    limits: bool = False,
) -> Markup:
    """Returns the plot of all curves over one pair of axes; values that are no numbers are left out.

    Args:
        curves: The curves to draw, in the order of the legend.
        label: What a screen reader says.
        axis: Name of the horizontal axis.
        log: Whether the vertical axis is logarithmic; None: where the values span more than a factor of 20.
        log_axis: Whether the horizontal axis is logarithmic; None as for `log`.
        dots: Whether points are marked with dots.
        zero: Whether a vertical axis that is not logarithmic begins at 0, as one of times and amounts should.
        bounds: Vertical lines, such as where two curves cross.
        levels: Horizontal lines, such as the floor.
        limits: Whether values are points between 0 and 100, which the axis then does not leave.
    """
    drawn = [(curve, [point for point in curve.points if math.isfinite(point[1])]) for curve in curves]
    x = fitted([x for _, points in drawn for x, _ in points], _LEFT, WIDTH - 10, margin=0.01, log=log_axis)
    heights = [y for _, points in drawn for _, y in points]
    heights += [end for curve, _ in drawn for _, *ends in curve.band for end in ends]
    heights += [bound.value for bound in levels]
    y = fitted(heights, _BOTTOM, _TOP, log=log, least=0.0 if limits else None, most=100.0 if limits else None)
    if zero and not y.log:
        y = replace(y, low=min(0.0, y.low))
    parts = [x_axis(x, _TOP, _BOTTOM, axis), y_axis(y, _LEFT, WIDTH - 10)]
    for bound in bounds:
        title = element("title", f"{bound.name} {bound.value:,.0f}")
        place = x(bound.value)
        parts.append(element("g", title, line(place, _TOP, place, _BOTTOM, class_="bound floor")))
    for bound in levels:
        title = element("title", f"{bound.name} {bound.value:.1f}")
        height = y(bound.value)
        parts.append(element("g", title, line(_LEFT, height, WIDTH - 10, height, class_=f"bound {bound.name}")))
    for curve, _ in drawn:
        # All bands before all lines, so that no band lies over another arm's line.
        lower = [(x(step), y(low)) for step, low, _ in curve.band]
        upper = [(x(step), y(high)) for step, _, high in reversed(curve.band)]
        if lower:
            parts.append(polyline([*lower, *upper], class_=f"band {curve.class_ or colour(curve.colour)}"))
    for curve, points in drawn:
        places = [(x(step), y(value)) for step, value in points]
        class_ = curve.class_ or colour(curve.colour)
        if len(places) > 1:
            parts.append(polyline(places, class_=f"line {class_}", dashes=None if curve.class_ else dash(curve.colour)))
        if dots or len(places) == 1:
            named = zip(points, places, strict=True)
            ends = {step: f" [{low:.4g}, {high:.4g}]" for step, low, high in curve.band}
            parts += [
                dot(*place, class_=class_, title=f"{curve.name}: {value:.4g}{ends.get(step, '')}", radius=3)
                for (step, value), place in named
            ]
    return drawing(_BOTTOM + 34, parts, label=label)


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Returns at most `most` points: all of them, or the means of neighbours."""
    if len(points) <= most:
        return list(points)
    edges = [round(index * len(points) / most) for index in range(most + 1)]
    groups = [points[first:last] for first, last in pairwise(edges)]
    return [(fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups]
