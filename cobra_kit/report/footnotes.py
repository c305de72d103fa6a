"""The sentences below a table, shared by the terminal and the Markdown form."""

from __future__ import annotations

from cobra_kit.paper import column_label
from cobra_kit.report import grid
from cobra_kit.report.machines import machine_line
from cobra_kit.report.table import MIN_SEEDS, SMALL_CHOICE_MASS, AblationTable, PaperNote

_SHARED = "Shared training time: of stages that several runs begin with. They were trained once; each arm shows them."


def footnotes(table: AblationTable) -> list[str]:
    """Returns what a reader must know to read the numbers, one paragraph each."""
    lines = [_method(table)] if table.comparisons or any(row.controls for row in table.rows) else []
    lines += [line for line in (_detectable(table), _at_floor(table)) if line]
    lines.extend(_unlikely(table))
    if any(cost.shared_seconds for cost in table.costs.values()):
        lines.append(_SHARED)
    lines.extend(note[:1].upper() + note[1:] + "." for note in table.notes)
    return [*lines, machine_line(table.machines)]


def paper_lines(table: AblationTable) -> list[str]:
    """Returns what the paper found: one line or, where several arms are compared, one per arm."""
    note = table.paper
    if note is None:
        return []
    if not table.others:
        known = ", ".join(f"{column_label(c)} {grid.points(v)}" for c, v in note.scores[table.reference].items())
        return [f"The paper ({note.title}, {note.rows[table.reference]}): {known}"] if known else []
    if not note.differences:
        return []
    head = f"The paper, same factor ({note.title}):"
    by_arm = {arm: _differences(note, arm) for arm in note.differences}
    if len(table.others) == 1 and len(by_arm) == 1:
        return [f"{head} {next(iter(by_arm.values()))}"]
    return [head, *(f"  {arm}: {text}" for arm, text in by_arm.items())]


def _differences(note: PaperNote, arm: str) -> str:
    known = [column for column in note.columns if column in note.differences[arm]]
    parts = [f"{column_label(column)} {grid.signed(note.differences[arm][column])}" for column in known]
    return ", ".join(parts) or "nothing to compare with"


def _method(table: AblationTable) -> str:
    level = f"{table.level:.0%}".replace("%", " %")
    if len(table.seeds) < MIN_SEEDS:
        return _unjudged(table, level)
    star, many = f"* the {level} interval excludes 0", len(table.comparisons)
    if many > 1:
        star += f", after Holm's correction for {many} comparisons, too (?: not after it)"
    return (
        f"{star}; tie: it holds 0. Paired bootstrap, clustered by picture, Student's t over {len(table.seeds)} seeds; "
        "± is the standard deviation over seeds."
    )


def _unjudged(table: AblationTable, level: str) -> str:
    """Returns why a table of one or two training runs of each arm judges nothing."""
    runs = "One training run" if len(table.seeds) == 1 else "Two training runs"
    lines = []
    if table.comparisons:
        lines.append(
            f"{runs} of each arm: not judged. Another seed can turn a difference round, however many pictures "
            f"there are; a verdict needs {MIN_SEEDS} seeds or more (ablation.seeds)."
        )
    if any(row.controls for row in table.rows):
        lines.append(f"Right minus wrong pictures: {level} intervals over pictures, of these very models.")
    return " ".join(lines)


def _detectable(table: AblationTable) -> str | None:
    known = [(row.detectable, row.benchmark) for row in table.rows if row.detectable is not None]
    if not known:
        return None
    (least, first), (most, last) = min(known), max(known)
    text = f"Smallest difference this design can see (80 % power): {least:.1f}"
    if first == last or grid.points(least) == grid.points(most):
        return text + " points."
    return text + f" ({first}) to {most:.1f} points ({last})."


def _unlikely(table: AblationTable) -> list[str]:
    """Returns one sentence per benchmark whose first-token scores compare answers that hardly come first."""
    lines = []
    for row in table.rows:
        for what, masses in (("", row.choice_mass), (" with wrong pictures", row.control_choice_mass)):
            small = [f"{grid.percent(mass)} ({arm})" for arm, mass in masses.items() if mass < SMALL_CHOICE_MASS]
            if small:
                lines.append(
                    f"{row.benchmark}{what} ranks answers that hardly ever come first: together they have "
                    f"{', '.join(small)} of the first token's probability, so the score says little of what the model "
                    "would answer."
                )
    return lines


def _at_floor(table: AblationTable) -> str | None:
    rows = [row for row in table.rows if row.at_floor]
    if not rows:
        return None
    names = ", ".join(row.benchmark for row in rows)
    text = f"Not above the floor on {names}"
    if table.others:
        text = f"No arm is above the floor on {names}: differences there say nothing"
    known = [(row, part) for row in rows for part in row.parts if part.floor is not None]
    above = [grid.part_name(row, part) for row, part in known if not part.at_floor]
    return f"{text}. Parts that are above it: {', '.join(above)}." if above else f"{text}."
