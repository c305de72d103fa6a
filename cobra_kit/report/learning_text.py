"""The table of steps to a level as cells and sentences, shared by the terminal and the page."""

from __future__ import annotations

from cobra_kit import columns
from cobra_kit.report import grid
from cobra_kit.report.layout import arm_name, level
from cobra_kit.report.learning import LearningTable, StepRatio, StepsToLevel
from cobra_kit.report.table import MIN_SEEDS, AblationTable


def learning_block(table: AblationTable, width: int) -> list[str]:
    """Returns the lines of a terminal, arms below each other where it is narrow; none where no arm has a curve."""
    learning = table.learning
    if learning is None or not (learning.rows or learning.notes):
        return []
    notes = [line for paragraph in learning_notes(table) for line in columns.wrap(paragraph, width)]
    if not learning.rows:
        return notes
    header, body = learning_cells(table)
    lines = columns.aligned([header, *body], "l" + "r" * (len(header) - 1))
    if max(map(len, lines)) > width:
        lines = _stacked(table, learning)
    return [*lines, *notes]


def learning_cells(table: AblationTable) -> tuple[list[str], list[list[str]]]:
    """Returns headings and rows: benchmark, level, steps of each arm, ratio of each arm to the reference."""
    learning = table.learning
    if learning is None:
        return [], []
    header = [_head(learning), "level", *(arm_name(table, arm) for arm in table.arms)]
    header += [f"{grid.shorten(arm)} / ref {level(table)}" for arm in table.others]
    body = [
        [
            row.benchmark,
            grid.points(row.level),
            *(steps(row.steps.get(arm)) for arm in table.arms),
            *(ratio(row.ratios.get(arm)) for arm in table.others),
        ]
        for row in learning.rows
    ]
    return header, body


def learning_notes(table: AblationTable) -> list[str]:
    """Returns what a reader must know of the steps, one paragraph each."""
    learning = table.learning
    if learning is None:
        return []
    lines = [_method(table)] if learning.rows else []
    bounds = [count for row in learning.rows for count in row.steps.values() if count.early or count.never]
    if bounds:
        lines.append(
            "Early: above the level at the first validation; never: below it at the last. Such a run bounds its step "
            "and does not tell it, so its row has no mean and no ratio; leaving it out would favour one arm."
        )
    return [*lines, *(note[:1].upper() + note[1:] + "." for note in learning.notes)]


def steps(count: StepsToLevel | None) -> str:
    """Returns steps as `420`, or how many runs have none: `2 of 5 never`."""
    if count is None:
        return grid.NONE
    if count.value is not None:
        return f"{count.value:,.0f}"
    known = [(count.early, "early"), (count.never, "never")]
    return ", ".join(f"{many} of {count.runs} {word}" for many, word in known if many)


def ratio(change: StepRatio | None) -> str:
    """Returns a ratio with its interval, such as `1.45 [1.20, 1.75]`; a dash where a run tells a bound alone."""
    if change is None or change.value is None:
        return grid.NONE
    if change.low is None or change.high is None:
        return f"{change.value:.2f}"
    return f"{change.value:.2f} [{change.low:.2f}, {change.high:.2f}]"


def _head(learning: LearningTable) -> str:
    return f"{learning.stage} steps to a level"


def _method(table: AblationTable) -> str:
    learning = table.learning
    stage = "" if learning is None else learning.stage
    text = (
        f"Steps of {stage} until accuracy on validation is halfway between the floor and the last value of "
        f"{table.reference}, which alone sets the level: mean over seeds, of curves made to rise (isotonic "
        "regression), between two validations interpolated."
    )
    if not table.others:
        return text
    if len(table.seeds) < MIN_SEEDS:
        return f"{text} Of fewer than {MIN_SEEDS} seeds ratios are not judged."
    return (
        f"{text} Ratios are paired by seed, Student's t on a logarithmic scale. A second measure, never starred: "
        "verdicts are those of the scores."
    )


def _stacked(table: AblationTable, learning: LearningTable) -> list[str]:
    """Returns a line per arm below each benchmark, which holds any number of arms."""
    header = [_head(learning), "steps", f"ratio {level(table)}" if table.others else ""]
    body = [
        [
            "  " + arm_name(table, arm),
            steps(row.steps.get(arm)),
            "" if arm == table.reference else ratio(row.ratios.get(arm)),
        ]
        for row in learning.rows
        for arm in table.arms
    ]
    lines = columns.aligned([header, *body], "lrr")
    result = lines[:1]
    for index, row in enumerate(learning.rows):
        first = 1 + index * len(table.arms)
        result += [f"{row.benchmark}: level {grid.points(row.level)}", *lines[first : first + len(table.arms)]]
    return result
