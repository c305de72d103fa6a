"""Pieces that all sections are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cobra_kit.report.markup import Child, Markup, element, join


def section(title: str, *children: Child) -> Markup:
    """Returns a section with its heading, or nothing where it has no content."""
    content = join(children)
    if not content:
        return Markup()
    return element("section", element("h2", title), content, id=anchor(title))


def anchor(title: str) -> str:
    """Returns the address of a section inside the page."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def table(
    caption: str, header: Sequence[Child], rows: Sequence[Sequence[Child]], *, words: int = 1, class_: str = ""
) -> Markup:
    """Returns a table that scrolls sideways by itself where the window is narrow.

    Args:
        caption: What it holds.
        header: Heading of each column.
        rows: Cells; the first of each row is its heading.
        words: How many columns from the left hold words; the others hold numbers.
        class_: A class of its own.
    """
    head = element("tr", [element("th", cell, scope="col", class_=_side(i, words)) for i, cell in enumerate(header)])
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [element("td", cell, class_=_side(i, words)) for i, cell in enumerate(row[1:], start=1)],
        )
        for row in rows
    ]
    whole = element(
        "table", element("caption", caption), element("thead", head), element("tbody", body), class_=class_ or None
    )
    # Focusable, so that it can be scrolled with the keyboard.
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


def grid_of(figures: Sequence[Child]) -> Markup:
    """Returns figures side by side, as many as fit; nothing for none."""
    return element("div", figures, class_="figures") if figures else Markup()


def folded(summary: str, *children: Child) -> Markup:
    """Returns what is shown on demand."""
    return element("details", element("summary", summary), children)


def paragraphs(lines: Sequence[str], class_: str = "note") -> Markup:
    """Returns one paragraph per line."""
    return join(element("p", line, class_=class_) for line in lines)


def _side(index: int, words: int) -> str | None:
    return None if index < words else "number"
