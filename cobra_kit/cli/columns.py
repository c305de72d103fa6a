"""Plain text in columns: one row per line, fitted to the terminal, whole where the output is not one."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

_GAP = "  "
_NARROWEST = 16


def width() -> int | None:
    """Returns the terminal's width, `COLUMNS` where that is set, or None where output goes to a file or a pipe."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def rows(table: Sequence[Sequence[str]], *, flexible: int, indent: str = "  ", limit: int | None = None) -> list[str]:
    """Returns one line per row; where they are too long for `limit`, the flexible column is cut with `…`.

    Args:
        table: Rows of equal length.
        flexible: Index of the column that gives way.
        indent: What each line begins with.
        limit: Most characters of a line; None for no limit.
    """
    if not table:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    if limit is not None:
        others = sum(widths) - widths[flexible] + len(indent) + len(_GAP) * (len(widths) - 1)
        widths[flexible] = max(_NARROWEST, min(widths[flexible], limit - others))
    lines = []
    for row in table:
        cells = [_fit(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)]
        lines.append((indent + _GAP.join(cells)).rstrip())
    return lines


def grid(table: Sequence[Sequence[str]], *, numbers: int, last_is_text: bool = False) -> list[str]:
    """Returns a table, its numbers to the right.

    Args:
        table: Rows of equal length, the first one the headings.
        numbers: The first column that holds numbers.
        last_is_text: Whether the last column is words.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    text = {*range(numbers), *([len(widths) - 1] if last_is_text else [])}
    lines = []
    for row in table:
        cells = [
            cell.ljust(size) if place in text else cell.rjust(size)
            for place, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


def paragraph(text: str, *, indent: str, limit: int | None) -> str:
    """Returns text wrapped to `limit`, each line indented; unwrapped where there is no limit."""
    text = " ".join(text.split())
    if limit is None:
        return indent + text
    return textwrap.fill(
        text,
        width=max(limit, len(indent) + _NARROWEST),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _fit(text: str, size: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"
