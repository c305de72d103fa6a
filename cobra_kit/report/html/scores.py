"""The numbers: scores with intervals, differences beside the paper's, parts, controls, costs."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from cobra_kit.paper import column_label, paper_column
from cobra_kit.report import grid
from cobra_kit.report.footnotes import footnotes
from cobra_kit.report.html.blocks import table_block
from cobra_kit.report.html.rendering import render
from cobra_kit.report.layout import PARTS, cost_cells
from cobra_kit.report.protocols import HEADING, protocol_cells, protocols
from cobra_kit.report.table import AblationTable


def scores(table: AblationTable) -> Markup:
    """Returns the table of scores and differences, and what a reader must know."""
    paper = table.paper.differences if table.paper else {}
    published = {arm: _published(table, paper[arm]) for arm in table.others if paper.get(arm)}
    header = ["benchmark", *_arm_names(table)]
    for arm in table.others:
        header += [f"{arm} - {table.reference}", *(["the paper's"] if arm in published else [])]
    return render(
        "scores",
        table=table,
        caption=f"Scores in points, 0 to 100, with {table.level * 100:.0f} % intervals",
        header=[*header, "floor", "ceiling", "detectable", "questions", "rule"],
        published=published,
        footnotes=footnotes(table),
        arm_names=_arm_names(table),
        parts_summary=PARTS.capitalize(),
        parts=[(row, part) for row in table.rows for part in row.parts],
        protocols_summary=HEADING.capitalize(),
        protocols=protocol_cells(protocols(table)),
        controlled=[row for row in table.rows if row.controls],
    )


def cost_table(table: AblationTable) -> Markup:
    """Returns what each arm took; nothing where that is not known."""
    known = cost_cells(table)
    if not known:
        return Markup()
    rows = [[name, *(cells[i] for cells in known.values())] for i, name in enumerate(_arm_names(table))]
    return table_block("What each arm took, mean over seeds", ["arm", *known], rows)


def paper_table(table: AblationTable) -> Markup:
    """Returns the published rows, with a warning where this study is not of that scale; nothing without any."""
    note = table.paper
    if note is None:
        return Markup()
    scale = "" if table.profile == "paper" else "Another scale: compare directions, not numbers."
    source = f"{note.source}, {note.confidence}. {note.note}".strip()
    header = ["the paper's row (arm)", *(column_label(column) for column in note.columns)]
    return render("paper", note=note, header=header, lines=[line for line in (scale, source) if line])


def _arm_names(table: AblationTable) -> list[str]:
    """Returns the arms' names; the one that others are compared with is marked."""
    return [f"{arm} (reference)" if table.others and arm == table.reference else arm for arm in table.arms]


def _published(table: AblationTable, differences: Mapping[str, float]) -> Mapping[str, str]:
    """Returns the paper's differences of an arm by the benchmark that each stands beside."""
    values = {row.benchmark: differences.get(paper_column(row.benchmark) or "") for row in table.rows}
    return {name: grid.NONE if value is None else grid.signed(value) for name, value in values.items()}
