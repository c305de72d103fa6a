"""Pieces that all sections are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cobra_kit.report.html.rendering import render
from cobra_kit.report.plots import Figure


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of the page with a heading and a link at the top; one without content is left out.

    Args:
        title: The heading of the part.
        content: What a template rendered; may be empty.
    """

    title: str
    content: Markup

    @property
    def anchor(self) -> str:
        """The address of the section inside the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def figures_block(figures: Sequence[Figure], note: str = "", legend: Sequence[str] = ()) -> Markup:
    """Returns plots side by side, as many as fit; nothing for none.

    Args:
        figures: The plots to show.
        note: A text that stands above the plots; may be empty.
        legend: Names, in the order of their colours.
    """
    return render("figures", figures=figures, note=note, legend=legend) if figures else Markup()


def table_block(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1, class_: str = ""
) -> Markup:
    """Returns a table of text; nothing without rows.

    Args:
        caption: What the table holds, in words.
        header: Heading of each column.
        rows: Cells; the first of each row is its heading.
        text_columns: How many columns from the left hold text; the others hold numbers.
        class_: A class of its own.
    """
    if not rows:
        return Markup()
    return render("table", caption=caption, header=header, rows=rows, text_columns=text_columns, class_=class_)
