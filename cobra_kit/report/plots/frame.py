"""The frame of every plot: a drawing that scales with the page, axes, and marks in the colours of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cobra_kit.report.plots.scales import Scale, tick_label
from cobra_kit.report.svg import Child, element

WIDTH = 360.0
"""User units; about the pixels of a phone, so that letters keep their size there."""

COLOURS = 8
_LETTER = 6.3  # mean width at the style sheet's 11 px; nothing here can measure text
_DASHES = (None, "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its heading.

    Args:
        title: The heading above the plot.
        plot: What one of the plots' functions drew.
        caption: What a reader must know; may be empty.
    """

    title: str
    plot: Markup
    caption: str = ""


def drawing(height: float, *children: Child, label: str) -> Markup:
    """Returns an SVG of `WIDTH` by `height` user units; `label` says to a screen reader what it shows."""
    return element("svg", *children, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=label)


def x_axis(scale: Scale, top: float, bottom: float, label: str = "", ticks: int = 5) -> Markup:
    """Returns grid lines, numbers and the name of a horizontal axis that lies at `bottom`."""
    marks = []
    for value in scale.ticks(ticks):
        x = scale(value)
        marks.append(line(x, top, x, bottom, class_="grid"))
        number = tick_label(value)
        # A number under the last line would be cut off at the drawing's edge.
        marks.append(text(min(x, WIDTH - text_width(number) / 2), bottom + 14, number, anchor="middle"))
    name = text((scale.start + scale.end) / 2, bottom + 29, label, anchor="middle") if label else None
    return element("g", marks, line(scale.start, bottom, scale.end, bottom, class_="axis"), name, class_="scale")


def y_axis(scale: Scale, left: float, right: float, ticks: int = 5) -> Markup:
    """Returns grid lines and numbers of a vertical axis that lies at `left`."""
    marks = []
    for value in scale.ticks(ticks):
        y = scale(value)
        marks.append(line(left, y, right, y, class_="grid"))
        marks.append(text(left - 5, y + 3.5, tick_label(value), anchor="end"))
    return element("g", marks, class_="scale")


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Markup:
    """Returns a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, *, anchor: str = "start", most: float | None = None) -> Markup:
    """Returns text; where it is longer than `most` user units, it ends in an ellipsis and is whole in its title."""
    letters = len(content) if most is None else max(int(most / _LETTER), 2)
    visible = content if len(content) <= letters else content[: letters - 1] + "…"
    title = element("title", content) if visible != content else None
    return element("text", title, visible, x=x, y=y, text_anchor=anchor)


def text_width(content: str) -> float:
    """Returns about how wide text is, user units."""
    return len(content) * _LETTER


def colour(index: int) -> str:
    """Returns the class that gives a mark the colour of the arm with this index."""
    return f"arm{index % COLOURS + 1}"


def dash(index: int) -> str | None:
    """Returns the dashes of an arm's line: arms are told apart without colours too."""
    return _DASHES[index % len(_DASHES)]


def polyline(points: Sequence[tuple[float, float]], *, class_: str, dashes: str | None = None) -> Markup:
    """Returns a line through points, each moved by steps of a tenth of a user unit."""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", d=path, class_=class_, stroke_dasharray=dashes)


def dot(x: float, y: float, *, class_: str, title: str = "", radius: float = 3.5) -> Markup:
    """Returns a round mark; its title shows under the pointer."""
    return element("circle", element("title", title) if title else None, cx=x, cy=y, r=radius, class_=class_)


def swatch(index: int) -> Markup:
    """Returns a piece of the line of an arm, for a legend."""
    sample = element("path", d="M1 6H27", class_=f"line {colour(index)}", stroke_dasharray=dash(index))
    return element("svg", sample, viewBox="0 0 28 12", class_="swatch", aria_hidden="true")
