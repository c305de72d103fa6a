"""The table as Markdown, for a README, an issue or a notebook."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cobra_kit.arguments import instance
from cobra_kit.formatting import printable
from cobra_kit.paper import column_label
from cobra_kit.report import grid
from cobra_kit.report.footnotes import footnotes
from cobra_kit.report.layout import PARTS, level
from cobra_kit.report.protocols import HEADING, protocol_cells, protocols
from cobra_kit.report.table import AblationTable, PaperNote


def render_markdown(table: AblationTable) -> str:
    """Returns the table, its notes and the paper's rows as Markdown; what has no text is left out."""
    instance(table, AblationTable, "table")
    blocks = [f"## {_escape(table.title)}", _scores(table), _parts(table), _costs(table), _controls(table)]
    blocks.append(_protocols(table))
    blocks.append("\n".join(f"- {_escape(line)}" for line in footnotes(table)))
    if table.paper is not None:
        blocks.append(_paper(table.paper))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _scores(table: AblationTable) -> str:
    header = ["benchmark", "rule", "questions", "pictures", *(_arm(table, arm) for arm in table.arms)]
    header += [f"{arm} - {table.reference} {level(table)}" for arm in table.others]
    header += ["floor", "ceiling", "detectable"]
    rows = []
    for row in table.rows:
        cells = [grid.label(row), _code(row.rule), f"{row.questions:,}", f"{row.images:,}"]
        cells += [grid.estimate(row.scores.get(arm)) for arm in table.arms]
        for arm in table.others:
            difference = row.differences.get(arm)
            cells.append(f"{grid.difference(difference)} {grid.mark(difference)}".strip())
        rows.append([*cells, grid.points(row.floor), grid.points(row.ceiling), grid.points(row.detectable)])
    return _table(header, rows, left=2) if rows else ""


def _parts(table: AblationTable) -> str:
    header = [PARTS, "questions", *(_arm(table, arm) for arm in table.arms), "floor"]
    rows = [
        [
            grid.part_name(row, part),
            f"{part.questions:,}",
            *(grid.estimate(part.scores.get(arm)) for arm in table.arms),
            grid.points(part.floor),
        ]
        for row in table.rows
        for part in row.parts
    ]
    return _table(header, rows, left=1) if rows else ""


def _costs(table: AblationTable) -> str:
    header = ["arm", "image tokens", "parameters trained", "training time", "tokens/s"]
    rows = []
    for arm in table.arms:
        cost = table.costs[arm]
        tokens = grid.NONE if cost.image_tokens is None else f"{cost.image_tokens:,}"
        rows.append(
            [
                _arm(table, arm),
                tokens,
                grid.count(cost.parameters_trained),
                grid.training_time(cost.training_seconds, cost.shared_seconds),
                grid.rate(cost.tokens_per_second),
            ]
        )
    if all(set(row[1:]) == {grid.NONE} for row in rows):
        return ""
    return _table(header, rows, left=1)


def _controls(table: AblationTable) -> str:
    rows = [row for row in table.rows if row.controls]
    if not rows:
        return ""
    header = ["right minus wrong pictures", *table.arms]
    cells = [
        [
            grid.label(row),
            *(
                f"{grid.difference(difference)} {grid.mark(difference)}".strip()
                for difference in (row.controls.get(arm) for arm in table.arms)
            ),
        ]
        for row in rows
    ]
    return _table(header, cells, left=1)


def _protocols(table: AblationTable) -> str:
    header, rows = protocol_cells(protocols(table))
    return _table([HEADING, *header[1:]], [list(map(_as_code, row)) for row in rows], left=len(header)) if rows else ""


def _as_code(cell: str) -> str:
    """Returns a quoted prompt as code, whose braces, markers and backslashes Markdown leaves alone."""
    return _code(cell) if cell.startswith('"') else cell


def _paper(note: PaperNote) -> str:
    header = ["the paper", *(column_label(column) for column in note.columns)]
    rows = []
    for arm, name in note.rows.items():
        scores = note.scores[arm]
        change = note.differences.get(arm, {})
        cells = [_paper_cell(scores.get(column), change.get(column)) for column in note.columns]
        rows.append([f"{name} ({arm})", *cells])
    source = f"{note.source}, {note.confidence}. {note.note}".strip()
    body = _table(header, rows, left=1)
    return f"### What the paper found: {_escape(note.title)}\n\n{body}\n\n{_escape(source)}"


def _paper_cell(score: float | None, change: float | None) -> str:
    return grid.points(score) + ("" if change is None else f" ({grid.signed(change)})")


class _Code(str):
    """Text that is in backticks already."""


def _code(text: str) -> str:
    plain = printable(text).replace("`", "'").replace("|", "\\|")
    return _Code(f"`{plain}`")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    rule = [":--" if index < left else "--:" for index in range(len(header))]
    lines = [[_escape(cell) for cell in header], rule, *([_escape(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _arm(table: AblationTable, arm: str) -> str:
    return f"{arm} (ref)" if table.others and arm == table.reference else arm


def _escape(text: str) -> str:
    """Returns text that Markdown shows as it is; underscores and brackets only where they would mean something."""
    if isinstance(text, _Code):
        return text
    text = printable(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([|*`~])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    return re.sub(r"\](?=[(\[:])", r"\\]", text)
