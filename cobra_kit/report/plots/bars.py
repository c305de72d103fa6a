"""Shares as bars, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cobra_kit.report.plots.frame import WIDTH, drawing, text
from cobra_kit.report.svg import element

_ROW = 36.0


def bar_plot(bars: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """Returns the bars, each below its name; lengths are relative to the largest.

    Args:
        bars: (name, value), values not below 0, from top to bottom.
        label: What a screen reader says.
    """
    largest = max(value for _, value in bars) or 1.0
    parts = []
    for index, (name, value) in enumerate(bars):
        y, width = 4 + _ROW * index, max((WIDTH - 50) * value / largest, 1.0)
        parts.append(text(2, y + 11, name, most=WIDTH - 4))
        parts.append(element("rect", x=2, y=y + 16, width=width, height=11, class_="bar"))
        parts.append(text(width + 8, y + 25.5, f"{value:.2f}"))
    return drawing(4 + _ROW * len(bars), parts, label=label)
