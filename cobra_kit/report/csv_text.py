"""The table as CSV: one row per arm and benchmark, every number unrounded, for a spreadsheet or a script."""

from __future__ import annotations

import csv
import io

from cobra_kit.arguments import instance
from cobra_kit.formatting import printable_lines
from cobra_kit.paper import paper_column
from cobra_kit.report.protocols import protocol_sentence
from cobra_kit.report.table import AblationTable, TableRow

COLUMNS = (
    *("benchmark", "paper_benchmark", "rule", "profile", "split", "seeds", "arm", "is_reference"),
    *("questions", "pictures", "score", "low", "high", "level", "seed_deviation", "floor", "ceiling"),
    *("difference", "difference_low", "difference_high", "verdict", "p_value", "p_holm", "detectable"),
    *("paper_row", "paper_score", "paper_difference"),
    *("image_tokens", "parameters_trained", "training_seconds", "tokens_per_second"),
    *("choice_mass", "protocol"),
)
# What spreadsheets run when a file is opened: OWASP's list for CSV injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_Cell = str | float | int | None


def render_csv(table: AblationTable) -> str:
    """Returns the table with a header line; points, seconds, empty cells for what is unknown."""
    instance(table, AblationTable, "table")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table.rows:
        for arm in row.scores:
            cells = _cells(table, row, arm)
            writer.writerow([_plain(cells[column]) for column in COLUMNS])
    if not table.rows:  # not evaluated: what training took
        for arm in table.arms:
            cells = dict.fromkeys(COLUMNS) | _about(table, arm)
            writer.writerow([_plain(cells[column]) for column in COLUMNS])
    return file.getvalue()


def _cells(table: AblationTable, row: TableRow, arm: str) -> dict[str, _Cell]:
    score, difference = row.scores[arm], row.differences.get(arm)
    cells: dict[str, _Cell] = {
        **_about(table, arm),
        "benchmark": row.benchmark,
        "paper_benchmark": row.label,
        "rule": row.rule,
        "questions": row.questions,
        "pictures": row.images,
        "score": score.value,
        "low": score.low,
        "high": score.high,
        "level": table.level,
        "seed_deviation": score.seed_deviation,
        "floor": row.floor,
        "ceiling": row.ceiling,
        "choice_mass": row.choice_mass.get(arm),
        "protocol": protocol_sentence(row.protocol) or None,
    }
    if difference is not None:
        cells |= {
            "difference": difference.value,
            "difference_low": difference.low,
            "difference_high": difference.high,
            "verdict": difference.verdict,
            "p_value": difference.p_value,
            "p_holm": difference.p_holm,
            "detectable": difference.detectable,
        }
    return dict.fromkeys(COLUMNS) | cells | _paper(table, row, arm)


def _about(table: AblationTable, arm: str) -> dict[str, _Cell]:
    """Returns the cells that every line of an arm has."""
    cost = table.costs[arm]
    return {
        "profile": table.profile,
        "split": table.split,
        "seeds": " ".join(map(str, table.seeds)),
        "arm": arm,
        "is_reference": str(arm == table.reference).lower(),
        "image_tokens": cost.image_tokens,
        "parameters_trained": cost.parameters_trained,
        "training_seconds": cost.training_seconds,
        "tokens_per_second": cost.tokens_per_second,
    }


def _paper(table: AblationTable, row: TableRow, arm: str) -> dict[str, _Cell]:
    note, column = table.paper, paper_column(row.benchmark)
    if note is None or column is None or arm not in note.rows:
        return {}
    return {
        "paper_row": note.rows[arm],
        "paper_score": note.scores[arm].get(column),
        "paper_difference": note.differences.get(arm, {}).get(column),
    }


def _plain(cell: _Cell) -> str | float | int:
    """Puts an apostrophe before text that a spreadsheet would take for a formula; what a terminal obeys goes."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    text = printable_lines(cell)
    # Some programs drop blanks before they look, and read the wide forms as the usual ones.
    return f"'{text}" if cell.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text
