"""The blocks of numbers of the plain-text table.

Arms stand side by side where that fits the width; else each benchmark is a block with one line per arm, which
holds any number of arms in 80 columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cobra_kit import columns
from cobra_kit.report import grid
from cobra_kit.report.table import MIN_SEEDS, AblationTable, ArmCost, ScoreDifference, TablePart, TableRow

PARTS = "by part (level 1 is the easiest)"


def scores(table: AblationTable, width: int) -> list[str]:
    """Returns the lines with scores, differences, floor, ceiling and costs."""
    lines = _side_by_side(table)
    return lines if _fits(lines, width) else [*_stacked(table), *_cost_block(table)]


def controls(table: AblationTable, width: int) -> list[str]:
    """Returns the lines that say how much the right images are worth; none without a control."""
    rows = [row for row in table.rows if row.controls]
    if not rows:
        return []
    title = "right minus wrong pictures"
    arms = [arm for arm in table.arms if any(arm in row.controls for row in rows)]
    names = _name_width(table)
    body = [[grid.label(row, names)] for row in rows]
    for arm in arms:
        _extend(body, _difference_cells([row.controls.get(arm) for row in rows]))
    header = [title, *(cell for arm in arms for cell in (arm_name(table, arm), ""))]
    lines = columns.aligned([header, *body], "l" + "rl" * len(arms))
    if _fits(lines, width):
        return lines
    return _blocks(title, rows, [(arm_name(table, arm), arm) for arm in arms])


def parts(table: AblationTable, width: int) -> list[str]:
    """Returns the lines with the scores of each benchmark's parts; none where no benchmark has parts."""
    if not any(row.parts for row in table.rows):
        return []
    header = [PARTS, *(arm_name(table, arm) for arm in table.arms), "floor", "questions"]
    body = [
        [
            grid.part_name(row, part),
            *(grid.estimate(part.scores.get(arm)) for arm in table.arms),
            grid.points(part.floor),
            f"{part.questions:,}",
        ]
        for row in table.rows
        for part in row.parts
    ]
    lines = columns.aligned([header, *body], "l" + "r" * (len(table.arms) + 2))
    if _fits(lines, width):
        return lines
    return [PARTS, *(line for row in table.rows for part in row.parts for line in _stacked_part(table, row, part))]


def _stacked_part(table: AblationTable, row: TableRow, part: TablePart) -> list[str]:
    floor = "" if part.floor is None else f": floor {grid.points(part.floor)}"
    scores = [["  " + arm_name(table, arm), grid.estimate(part.scores.get(arm))] for arm in table.arms]
    return [grid.part_name(row, part) + floor, *columns.aligned(scores, "lr")]


def _side_by_side(table: AblationTable) -> list[str]:
    names = _name_width(table)
    header = ["", *(arm_name(table, arm) for arm in table.arms)]
    body = [[grid.label(row, names), *(grid.estimate(row.scores.get(arm)) for arm in table.arms)] for row in table.rows]
    compared = table.others if table.rows else ()  # heads without a row say nothing
    for arm in compared:
        header += [_difference_head(table, arm), ""]
        _extend(body, _difference_cells([row.differences.get(arm) for row in table.rows]))
    bounds = _bounds(table)
    header += list(bounds)
    _extend(body, [list(cells) for cells in zip(*bounds.values(), strict=True)])
    blanks = [""] * (len(header) - 1 - len(table.arms))
    costs = [[name, *cells, *blanks] for name, cells in cost_cells(table).items()]
    align = "l" + "r" * len(table.arms) + "rl" * len(compared) + "r" * len(bounds)
    return columns.aligned([header, *body, *costs], align)


def _stacked(table: AblationTable) -> list[str]:
    header = ["", "score", f"difference {level(table)}", ""]
    changes = _difference_cells([row.differences.get(arm) for row in table.rows for arm in table.arms])
    body = [
        ["  " + arm_name(table, arm), grid.estimate(row.scores.get(arm))] for row in table.rows for arm in table.arms
    ]
    _extend(body, [["", ""] if cells[0] == grid.NONE else cells for cells in changes])
    if not table.rows:
        return []
    lines = columns.aligned([header, *body], "lrrl")
    result = lines[:1]
    for index, row in enumerate(table.rows):
        first = 1 + index * len(table.arms)
        result += [_heading(row), *lines[first : first + len(table.arms)]]
    return result


def _blocks(title: str, rows: Sequence[TableRow], arms: Sequence[tuple[str, str]]) -> list[str]:
    body = [["  " + name] for _ in rows for name, _ in arms]
    _extend(body, _difference_cells([row.controls.get(arm) for row in rows for _, arm in arms]))
    lines = columns.aligned(body, "lrl")
    result = [title]
    for index, row in enumerate(rows):
        result += [grid.label(row), *lines[index * len(arms) : (index + 1) * len(arms)]]
    return result


def _cost_block(table: AblationTable) -> list[str]:
    costs = cost_cells(table)
    if not costs:
        return []
    header = ["", *(name.replace("parameters ", "").replace(" time", "") for name in costs)]
    body = [
        ["  " + arm_name(table, arm), *(cells[index] for cells in costs.values())]
        for index, arm in enumerate(table.arms)
    ]
    return ["", *columns.aligned([header, *body], "l" + "r" * len(costs))]


def cost_cells(table: AblationTable) -> Mapping[str, list[str]]:
    """Returns a cell per arm for each cost that at least one arm knows."""
    costs = [table.costs[arm] for arm in table.arms]
    listed = {
        "image tokens": [_tokens(cost) for cost in costs],
        "parameters trained": [grid.count(cost.parameters_trained) for cost in costs],
        "training time": [grid.training_time(cost.training_seconds, cost.shared_seconds) for cost in costs],
        "tokens/s": [grid.rate(cost.tokens_per_second) for cost in costs],
    }
    return {name: cells for name, cells in listed.items() if set(cells) != {grid.NONE}}


def _bounds(table: AblationTable) -> Mapping[str, list[str]]:
    listed = {
        "floor": [grid.points(row.floor) for row in table.rows],
        "ceiling": [grid.points(row.ceiling) for row in table.rows],
    }
    return {name: cells for name, cells in listed.items() if set(cells) - {grid.NONE}}


def _heading(row: TableRow) -> str:
    bounds = (("floor", row.floor), ("ceiling", row.ceiling))
    known = [f"{name} {grid.points(value)}" for name, value in bounds if value is not None]
    return grid.label(row) + (f": {', '.join(known)}" if known else "")


def _difference_cells(differences: Sequence[ScoreDifference | None]) -> list[list[str]]:
    """Returns difference and mark of each, brackets below each other."""
    texts = [grid.difference(difference).partition(" ") for difference in differences]
    value_width = max((len(value) for value, blank, _ in texts if blank), default=0)
    interval_width = max((len(interval) for *_, interval in texts), default=0)
    return [
        [f"{value:>{value_width}} {interval:<{interval_width}}" if blank else value, grid.mark(difference)]
        for difference, (value, blank, interval) in zip(differences, texts, strict=True)
    ]


def _extend(rows: Sequence[list[str]], cells: Sequence[list[str]]) -> None:
    for row, added in zip(rows, cells, strict=False):
        row.extend(added)


def _fits(lines: Sequence[str], width: int) -> bool:
    return max(map(len, lines)) <= width


def _tokens(cost: ArmCost) -> str:
    return grid.NONE if cost.image_tokens is None else f"{cost.image_tokens:,}"


def arm_name(table: AblationTable, arm: str) -> str:
    """Returns the arm's name as it heads a column; the one that others are compared with is marked."""
    return f"{grid.shorten(arm)} (ref)" if table.others and arm == table.reference else grid.shorten(arm)


def _difference_head(table: AblationTable, arm: str) -> str:
    name = "difference" if len(table.others) == 1 else f"{grid.shorten(arm)} - ref"
    return f"{name} {level(table)}"


def level(table: AblationTable) -> str:
    """Returns what stands behind the head of a column of differences: the level of its intervals, if it has any."""
    return f"[{table.level * 100:.0f} %]" if len(table.seeds) >= MIN_SEEDS else "(not judged)"


def _name_width(table: AblationTable) -> int:
    return max((len(row.benchmark) for row in table.rows), default=0)
