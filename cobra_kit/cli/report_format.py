"""The formats of a report: by themselves, so that `--help` need not import what writes them."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """The values of `report --format`."""

    html = "html"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    text = "text"
    json = "json"
