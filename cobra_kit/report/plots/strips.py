"""Values by category: one line of dots each."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cobra_kit.report.plots.frame import WIDTH, dot, drawing, line, text, text_width, x_axis
from cobra_kit.report.plots.scales import fitted

_ROW, _TOP, _MOST_NAME, _LANES = 34.0, 6.0, 130.0, 5


def strip_plot(values: Sequence[tuple[str, float, str]], *, label: str) -> Markup:
    """Returns the plot.

    Args:
        values: (category, value, what stands under the pointer), at least one.
        label: What a screen reader says.
    """
    names = sorted({name for name, _, _ in values})
    left = min(_MOST_NAME, max(map(text_width, names))) + 10
    bottom = _TOP + _ROW * len(names)
    scale = fitted([value for _, value, _ in values], left + 4, WIDTH - 12)
    parts = [x_axis(scale, _TOP, bottom)]
    for index, name in enumerate(names):
        middle = _TOP + _ROW * (index + 0.5)
        parts.append(text(left - 8, middle + 4, name, anchor="end", most=_MOST_NAME))
        parts.append(line(left, middle, WIDTH - 12, middle, class_="grid"))
        inside = [(value, title) for category, value, title in values if category == name]
        for number, (value, title) in enumerate(inside):
            # In lanes one above the other, so that equal values do not hide each other.
            y = middle + (number % _LANES - _LANES // 2) * 4
            parts.append(dot(scale(value), y, class_="trial", title=f"{title}: {value:.5g}", radius=2.8))
    return drawing(bottom + 20, parts, label=label)
