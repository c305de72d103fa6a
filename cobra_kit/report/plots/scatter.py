"""Two figures against each other, and the front of what nothing beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from cobra_kit.report.plots.frame import WIDTH, colour, dot, drawing, polyline, text, text_width, x_axis, y_axis
from cobra_kit.report.plots.scales import Scale, fitted

Direction = Literal["maximize", "minimize"]
_LEFT, _TOP, _BOTTOM = 46.0, 14.0, 200.0


@dataclass(frozen=True, slots=True)
class Point:
    """One mark of a scatter plot.

    Args:
        name: The text that names the mark.
        x: Value on the horizontal axis.
        y: Value on the vertical axis.
        colour: Index of its colour.
        class_: Another class than that colour.
    """

    name: str
    x: float
    y: float
    colour: int = 0
    class_: str = ""


def pareto_front(points: Sequence[Point], x: Direction, y: Direction) -> list[Point]:
    """Returns the points that no other beats in one figure without losing in the other, in the order of x.

    Points that are equal in both are all on the front. A point without two finite values is on none.
    """
    x_sign, y_sign = (1.0 if direction == "maximize" else -1.0 for direction in (x, y))
    finite = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
    best_first = sorted(finite, key=lambda point: (-x_sign * point.x, -y_sign * point.y))
    # From the best x on, a point is on the front only where its y is better than that of all before it.
    front: list[Point] = []
    for point in best_first:
        beaten = bool(front) and y_sign * point.y <= y_sign * front[-1].y
        if not beaten or (point.x, point.y) == (front[-1].x, front[-1].y):
            front.append(point)
    return sorted(front, key=lambda point: point.x)


def scatter_plot(
    points: Sequence[Point],
    *,
    label: str,
    axis: str,
    front: tuple[Direction, Direction] | None = None,
    names: bool = False,
    log: bool | None = None,
    spans: tuple[float, float] = (0.0, 0.0),
) -> Markup:
    """Returns the plot.

    Args:
        points: The marks to draw.
        label: What a screen reader says.
        axis: Name of the horizontal axis.
        front: Which way is better, across and up; draws the Pareto front.
        names: Whether names stand beside the marks.
        log: Whether the horizontal axis is logarithmic; None: where the values span more than a factor of 20.
        spans: The least that the axes span, across and up.
    """
    finite = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
    margin = 0.12 if names else 0.04
    x = fitted([point.x for point in finite], _LEFT + 6, WIDTH - 16, log=log, margin=margin, span=spans[0])
    y = fitted([point.y for point in finite], _BOTTOM, _TOP, margin=0.12, span=spans[1])
    parts = [x_axis(x, _TOP, _BOTTOM, axis), y_axis(y, _LEFT, WIDTH - 10)]
    if front is not None:
        parts.append(_front_line(pareto_front(finite, *front), x, y, front))
    parts += [
        dot(x(p.x), y(p.y), class_=p.class_ or colour(p.colour), title=f"{p.name}: {p.x:.5g}, {p.y:.5g}", radius=4)
        for p in finite
    ]
    if names:
        parts += [_name(point, x(point.x), y(point.y)) for point in finite]
    return drawing(_BOTTOM + 34, parts, label=label)


def _front_line(front: Sequence[Point], x: Scale, y: Scale, better: tuple[Direction, Direction]) -> Markup:
    """Steps: between two points of the front, the worse of both values is what can be had."""
    if len(front) < 2:
        return Markup()
    places = [(x(point.x), y(point.y)) for point in front]
    corners = [places[0]]
    for (x1, y1), (x2, y2) in pairwise(places):
        corners += [(x2, y1) if better[0] == "minimize" else (x1, y2), (x2, y2)]
    return polyline(corners, class_="front")


def _name(point: Point, x: float, y: float) -> Markup:
    fits = x + 8 + text_width(point.name) < WIDTH
    return text(x + 8 if fits else x - 8, y - 6, point.name, anchor="start" if fits else "end", most=200)
