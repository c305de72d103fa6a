"""Shares as bars, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.report.markup import Markup, element
from cobra_kit.report.plots.frame import WIDTH, drawing, line, text, text_width

_ROW, _MOST_NAME = 24.0, 150.0


def bar_plot(bars: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """Returns the bars with their values; lengths are relative to the largest.

    Args:
        bars: (name, value), values not below 0, from top to bottom.
        label: What a screen reader says.
    """
    left = min(_MOST_NAME, max(text_width(name) for name, _ in bars)) + 10
    room, largest = WIDTH - left - 44, max(value for _, value in bars) or 1.0
    parts = []
    for index, (name, value) in enumerate(bars):
        y, width = 6 + _ROW * index, max(room * value / largest, 1.0)
        parts.append(text(left - 8, y + 14, name, anchor="end", most=_MOST_NAME))
        parts.append(element("rect", x=left, y=y + 3, width=width, height=_ROW - 10, class_="bar"))
        parts.append(text(left + width + 5, y + 14, f"{value:.2f}"))
    bottom = 8 + _ROW * len(bars)
    return drawing(bottom + 4, parts, line(left, 4, left, bottom, class_="axis"), label=label)
