"""The table as plain text for a terminal, and the same text with styles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cobra_kit import columns
from cobra_kit.arguments import instance, whole_number
from cobra_kit.formatting import printable_lines
from cobra_kit.report.footnotes import footnotes, paper_lines
from cobra_kit.report.layout import controls, parts, scores
from cobra_kit.report.learning_text import learning_block
from cobra_kit.report.protocols import protocol_lines, protocols
from cobra_kit.report.table import AblationTable

if TYPE_CHECKING:
    from rich.text import Text


def render_text(table: AblationTable, width: int = 80) -> str:
    """Returns the table as text without styles.

    Args:
        table: The table to print.
        width: Columns of the terminal; 80 are enough for any table whose arms have names of normal length.
    """
    instance(table, AblationTable, "table")
    width = whole_number(width, "width", at_least=1)
    blocks = [
        [table.title, *scores(table, width)],
        parts(table, width),
        controls(table, width),
        learning_block(table, width),
        protocol_lines(protocols(table), width),
        _notes(table, width),
        _paper(paper_lines(table), width),
    ]
    return printable_lines("\n\n".join("\n".join(block) for block in blocks if block))


def styled_text(table: AblationTable, width: int = 80) -> Text:
    """Returns the same text for rich: the title bold, marked differences coloured, ties and notes dim."""
    from rich.text import Text

    plain = render_text(table, width)
    text = Text(plain)
    text.stylize("bold", 0, len(table.title))
    text.highlight_regex(r"-\d+\.\d \[[^\]]*\]\s+\*", "red")
    text.highlight_regex(r"\+\d+\.\d \[[^\]]*\]\s+\*", "green")
    text.highlight_regex(r"\btie\b", "dim")
    text.stylize("dim", plain.index(printable_lines("\n".join(_notes(table, width)))))
    return text


def _notes(table: AblationTable, width: int) -> list[str]:
    return [line for paragraph in footnotes(table) for line in columns.wrap(paragraph, width)]


def _paper(lines: list[str], width: int) -> list[str]:
    wrapped = []
    for line in lines:
        indent = "  " if line.startswith("  ") else ""
        wrapped += [indent + part for part in columns.wrap(line.strip(), width - len(indent))]
    return wrapped
