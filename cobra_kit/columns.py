"""Plain text in columns: one row per line, fitted to the terminal, whole where the output is not one.

What a cell holds may be anybody's: nothing of it is obeyed by a terminal. Styles are put around whole lines, later.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from cobra_kit.control_characters import printable

_GAP = "  "
_NARROWEST = 16
_USUAL = 80
_DUMB = ("dumb", "unknown")


def width() -> int | None:
    """Returns the width to fold to: that of the terminal, or `COLUMNS` where it is set; 80 where a terminal does not
    say, or is a dumb one.

    None where output goes to a file or a pipe: there a row is a line, for whoever searches through them.
    """
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and int(given) > 0:
        return int(given)
    if sys.stdout.isatty():
        return shutil.get_terminal_size((_USUAL, 24)).columns or _USUAL
    return _USUAL if os.environ.get("TERM") in _DUMB else None


def rows(
    table: Sequence[Sequence[str]], *, flexible: int, indent: str = "  ", limit: int | None = None, header: bool = False
) -> list[str]:
    """Returns the rows of a table, folded to `limit`; see `blocks`."""
    return [
        line for block in blocks(table, flexible=flexible, indent=indent, limit=limit, header=header) for line in block
    ]


def blocks(
    table: Sequence[Sequence[str]],
    *,
    flexible: int | Sequence[int],
    indent: str = "  ",
    limit: int | None = None,
    header: bool = False,
) -> list[list[str]]:
    """Returns the lines of each row: one where it fits, else with the flexible columns folded.

    Where these would be too narrow to read, a row is its first cell and below it the others, each behind its heading
    if there is one. Only a word that is longer than `limit` itself makes a longer line.

    Args:
        table: Rows of equal length.
        flexible: Index of the column that gives way; of several, the widest gives first.
        indent: What each line begins with.
        limit: Most characters of a line; None for no limit.
        header: Whether the first row is headings.
    """
    if not table:
        return []
    table = [[_clean(cell) for cell in row] for row in table]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    giving = [flexible] if isinstance(flexible, int) else list(flexible)
    if limit is not None and _line_width(widths, indent) > limit:
        longest_words = [
            max((len(word) for row in table for word in row[place].split()), default=0) for place in giving
        ]
        longest = dict(zip(giving, longest_words, strict=True))
        least = [
            max(min(_NARROWEST, width), longest[place]) if place in giving else width
            for place, width in enumerate(widths)
        ]
        if 0 in giving or _line_width(least, indent) > limit:
            return _stacked(table, indent, limit, header=header)
        while _line_width(widths, indent) > limit:
            widths[max(giving, key=lambda place: widths[place] - least[place])] -= 1
    return [_folded(row, widths, giving, indent) for row in table]


def cut_rows(table: Sequence[Sequence[str]], *, flexible: int, indent: str = "  ", limit: int) -> list[str]:
    """Returns exactly one line per row, for a display of a fixed height: what does not fit is cut with `…`."""
    table = [[_clean(cell) for cell in row] for row in table]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)] if table else []
    if widths:
        others = _line_width(widths, indent) - widths[flexible]
        widths[flexible] = max(_NARROWEST, min(widths[flexible], limit - others))
    lines = [
        (indent + _GAP.join(cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True))).rstrip()
        for row in table
    ]
    return [cut(line, limit) for line in lines]


def grid(
    table: Sequence[Sequence[str]], *, numbers: int, last_is_text: bool = False, limit: int | None = None
) -> list[str]:
    """Returns a table, its numbers to the right; one column below the other where it is wider than `limit`.

    Args:
        table: Rows of equal length, the first one the headings.
        numbers: The first column that holds numbers.
        last_is_text: Whether the last column is words.
        limit: Most characters of a line; None for no limit.
    """
    table = [[printable(cell) for cell in row] for row in table]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    if limit is not None and _line_width(widths, "  ") > limit:
        return [line for block in _stacked(table, "  ", limit, header=True) for line in block]
    text = {*range(numbers), *([len(widths) - 1] if last_is_text else [])}
    return aligned(table, "".join("l" if place in text else "r" for place in range(len(widths))), indent="  ")


def aligned(table: Sequence[Sequence[str]], align: str, *, indent: str = "") -> list[str]:
    """Returns the rows of a table as lines, each column as wide as its widest cell.

    Args:
        table: Rows of equal length.
        align: One letter per column: `l`, `r`.
        indent: What each line begins with.
    """
    table = [[printable(cell) for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    sides = [str.ljust if side == "l" else str.rjust for side in align]
    return [
        (indent + _GAP.join(side(cell, size) for side, cell, size in zip(sides, row, widths, strict=True))).rstrip()
        for row in table
    ]


def _clean(cell: str) -> str:
    return " ".join(printable(cell).split())


def _line_width(widths: Sequence[int], indent: str) -> int:
    return len(indent) + sum(widths) + len(_GAP) * (len(widths) - 1)


def _folded(row: Sequence[str], widths: Sequence[int], flexible: Sequence[int], indent: str) -> list[str]:
    """Returns a row whose flexible cells take as many lines as they need."""
    columns = [
        wrap(cell, size) if place in flexible else [cell]
        for place, (cell, size) in enumerate(zip(row, widths, strict=True))
    ]
    return [
        (indent + _GAP.join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True))).rstrip()
        for cells in zip_longest(*columns, fillvalue="")
    ]


def _stacked(table: Sequence[Sequence[str]], indent: str, limit: int, *, header: bool) -> list[list[str]]:
    names = table[0] if header else [""] * len(table[0])
    stacked = []
    for number, row in enumerate(table):
        if header and number == 0:
            stacked.append([f"{indent}{row[0]}".rstrip()])
            continue
        below = indent + "    "
        lines = [indent + line for line in wrap(row[0], limit - len(indent)) or [""]]
        for name, cell in zip(names[1:], row[1:], strict=True):
            lines += [below + line for line in wrap(f"{name} {cell}".strip() if cell else "", limit - len(below))]
        stacked.append([line.rstrip() for line in lines])
    return stacked


def wrap(text: str, size: int) -> list[str]:
    """Returns a paragraph's lines; words longer than a line, such as paths, stay whole."""
    return textwrap.wrap(printable(text), max(size, 1), break_long_words=False, break_on_hyphens=False)


def joined(parts: Sequence[str], width: int) -> list[str]:
    """Returns the parts on as few lines as they need, four blanks between them."""
    parts = [printable(part) for part in parts]
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 4 + len(part) <= width:
            lines[-1] += f"    {part}"
        else:
            lines.append(f"        {part}")
    return lines


def paragraph(text: str, *, indent: str, limit: int | None) -> str:
    """Returns text wrapped to `limit`, each line indented; unwrapped where there is no limit."""
    text = _clean(text)
    if limit is None:
        return indent + text
    return textwrap.fill(
        text,
        width=max(limit, len(indent) + 1),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def cut(text: str, limit: int | None) -> str:
    """Returns the text, its end replaced by `…` where it is longer than `limit`."""
    return text if limit is None or len(text) <= limit else text[: limit - 1].rstrip() + "…"
