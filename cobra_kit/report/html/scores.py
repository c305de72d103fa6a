"""The numbers: scores with intervals, differences beside the paper's, parts, controls, costs."""

from __future__ import annotations

from cobra_kit.paper import column_label, paper_column
from cobra_kit.report import grid
from cobra_kit.report.footnotes import footnotes
from cobra_kit.report.html.blocks import folded, paragraphs, table
from cobra_kit.report.layout import PARTS, cost_cells
from cobra_kit.report.markup import Markup, element, join
from cobra_kit.report.table import AblationTable, Difference, Estimate, PaperNote, Row

_VERDICTS = {"higher": "higher *", "lower": "lower *", "tie": "tie", "unknown": "one picture"}


def scores(found: AblationTable) -> Markup:
    """Returns the table of scores and differences, and what a reader must know."""
    header = ["benchmark", *(arm_name(found, arm) for arm in found.arms)]
    for arm in found.others:
        header.append(f"{arm} - {found.reference}")
        header += ["the paper's"] if _has_paper(found, arm) else []
    header += ["floor", "ceiling", "detectable", "questions", "rule"]
    rows = [_row(found, row) for row in found.rows]
    percent = f"{found.level * 100:.0f} %"
    main = table(f"Scores in points, 0 to 100, with {percent} intervals", header, rows) if rows else Markup()
    return join([main, paragraphs(footnotes(found)), _parts(found), _controls(found)])


def cost_table(found: AblationTable) -> Markup:
    """Returns what each arm took; nothing where that is not known."""
    known = cost_cells(found)
    if not known:
        return Markup()
    rows = [[arm_name(found, arm), *(cells[i] for cells in known.values())] for i, arm in enumerate(found.arms)]
    return table("What each arm took, mean over seeds", ["arm", *known], rows)


def paper_table(note: PaperNote, profile: str) -> Markup:
    """Returns the published rows, with a warning where this study is not of that scale."""
    rows = [
        [f"{name} ({arm})", *(_paper_cell(note, arm, column) for column in note.columns)]
        for arm, name in note.rows.items()
    ]
    header = ["the paper's row (arm)", *(column_label(column) for column in note.columns)]
    source = f"{note.source}, {note.confidence}. {note.note}".strip()
    scale = "" if profile == "paper" else "Another scale: compare directions, not numbers."
    return join([table(note.title, header, rows), paragraphs([line for line in (scale, source) if line])])


def arm_name(found: AblationTable, arm: str) -> str:
    """Returns an arm's name, marked if it is the reference of others."""
    return f"{arm} (reference)" if found.others and arm == found.reference else arm


def _row(found: AblationTable, row: Row) -> list[Markup | str]:
    cells: list[Markup | str] = [grid.label(row)]
    cells += [estimate(row.scores.get(arm)) for arm in found.arms]
    for arm in found.others:
        cells.append(_difference(row.differences.get(arm)))
        if _has_paper(found, arm):
            cells.append(_paper_difference(found, arm, row))
    bounds = [grid.points(row.floor), grid.points(row.ceiling), grid.points(row.detectable)]
    return [*cells, *bounds, f"{row.questions:,}", element("code", row.rule)]


def estimate(one: Estimate | None) -> Markup:
    """Returns a score, its interval below it."""
    if one is None:
        return Markup(grid.NONE)
    interval = None
    if one.low is not None and one.high is not None:
        interval = element("small", f"[{grid.points(one.low)}, {grid.points(one.high)}]")
    return join([grid.estimate(one), interval])


def _difference(one: Difference | None) -> Markup:
    if one is None:
        return Markup(grid.NONE)
    verdict = element("span", _VERDICTS[one.verdict], class_=f"verdict {one.verdict}")
    value, _, interval = grid.difference(one).partition(" ")
    return join([value, " ", verdict, element("small", interval)])


def _has_paper(found: AblationTable, arm: str) -> bool:
    return found.paper is not None and bool(found.paper.differences.get(arm))


def _paper_difference(found: AblationTable, arm: str, row: Row) -> str:
    column = paper_column(row.benchmark)
    assert found.paper is not None  # as `_has_paper` says
    value = found.paper.differences[arm].get(column) if column else None
    return grid.NONE if value is None else grid.signed(value)


def _paper_cell(note: PaperNote, arm: str, column: str) -> Markup:
    change = note.differences.get(arm, {}).get(column)
    below = None if change is None else element("small", grid.signed(change))
    return join([grid.points(note.scores[arm].get(column)), below])


def _parts(found: AblationTable) -> Markup:
    rows = [
        [
            grid.part_name(row, part),
            *(estimate(part.scores.get(arm)) for arm in found.arms),
            grid.points(part.floor),
            f"{part.questions:,}",
        ]
        for row in found.rows
        for part in row.parts
    ]
    if not rows:
        return Markup()
    header = ["part", *(arm_name(found, arm) for arm in found.arms), "floor", "questions"]
    return folded(PARTS.capitalize(), table("Scores of each part in points", header, rows))


def _controls(found: AblationTable) -> Markup:
    rows = [
        [grid.label(row), *(_difference(row.controls.get(arm)) for arm in found.arms)]
        for row in found.rows
        if row.controls
    ]
    if not rows:
        return Markup()
    caption = "Did the models look? Score with the right picture minus score with a wrong one, points"
    return table(caption, ["benchmark", *found.arms], rows)
