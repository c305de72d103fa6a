"""The table for a paper: LaTeX with booktabs, one line per benchmark."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cobra_kit.arguments import instance
from cobra_kit.formatting import printable
from cobra_kit.report import grid
from cobra_kit.report.footnotes import footnotes
from cobra_kit.report.layout import cost_cells
from cobra_kit.report.protocols import protocol_sentences
from cobra_kit.report.table import AblationTable, Estimate, ScoreDifference, TableRow

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # a row that begins with a bracket would be read as an option of \\
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "…": r"\dots{}",
}
_ANY = re.compile("[" + re.escape("".join(_SPECIAL)) + "]")


def render_latex(table: AblationTable) -> str:
    r"""Returns a `table` environment; it needs `\usepackage{booktabs}`, and `[T1]{fontenc}` for quotation marks."""
    instance(table, AblationTable, "table")
    bounds = ["floor", "ceiling"] if table.rows else []
    compared = table.others if table.rows else ()
    header = ["", *(_arm(table, arm) for arm in table.arms), *(f"{arm} - {table.reference}" for arm in compared)]
    notes = [*protocol_sentences(table), *footnotes(table)]
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        "  \\small",
        f"  \\begin{{tabular}}{{l{'r' * (len(header) - 1 + len(bounds))}}}",
        "    \\toprule",
        _line([escape(cell) for cell in [*header, *bounds]]),
        "    \\midrule",
        *(_line(_cells(table, row)) for row in table.rows),
        *_costs(table, len(compared) + len(bounds)),
        "    \\bottomrule",
        "  \\end{tabular}",
        f"  \\caption{{{escape(table.title)}. {' '.join(map(escape, notes))}}}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Returns text as LaTeX that prints it, on one line and without control characters."""
    return _ANY.sub(lambda match: _SPECIAL[match.group()], printable(text))


def _cells(table: AblationTable, row: TableRow) -> list[str]:
    cells = [escape(grid.label(row))]
    cells += [_estimate(row.scores.get(arm)) for arm in table.arms]
    cells += [_difference(row.differences.get(arm)) for arm in table.others]
    return [*cells, _number(grid.points(row.floor)), _number(grid.points(row.ceiling))]


def _costs(table: AblationTable, blanks: int) -> list[str]:
    known = cost_cells(table)
    rows = [[escape(name), *(_number(cell) for cell in cells), *[""] * blanks] for name, cells in known.items()]
    rule = ["    \\midrule"] if table.rows else []
    return [*rule, *map(_line, rows)] if rows else []


def _estimate(score: Estimate | None) -> str:
    if score is None or score.low is None or score.high is None:
        return _number(grid.estimate(score))
    return f"{_number(grid.estimate(score))} {{\\scriptsize [{grid.points(score.low)}, {grid.points(score.high)}]}}"


def _difference(difference: ScoreDifference | None) -> str:
    value, _, interval = grid.difference(difference).partition(" ")
    small = f" {{\\scriptsize {_number(interval)}}}" if interval else ""
    mark = "$^{*}$" if grid.mark(difference) == "*" else ""
    return _number(value) + mark + small


def _number(text: str) -> str:
    """Returns a number with a minus sign rather than a hyphen."""
    if text == grid.NONE:
        return "--"
    return re.sub(r"-(?=\d)", "$-$", escape(text).replace("{[}", "[").replace("{]}", "]"))


def _line(cells: Sequence[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _arm(table: AblationTable, arm: str) -> str:
    return f"{arm} (ref)" if table.others and arm == table.reference else arm
