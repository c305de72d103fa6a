"""Every cell of a published table: met, missed or not run, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

from cobra_kit.paper import PaperTable
from cobra_kit.report import grid
from cobra_kit.report.table import SMALL_CHOICE_MASS
from cobra_kit.reproduce.evidence import Evidence, MeasuredScore
from cobra_kit.reproduce.needs import benchmark_name, needs, offers, plan_of
from cobra_kit.reproduce.sources import Source, sources_of, table_named
from cobra_kit.study.plan.study_plan import ONLY_ARM

Verdict = Literal["met", "missed", "not run"]

ROUNDING = 0.05
"""The paper prints one decimal."""

RULE = (
    "met: the paper's number, which is rounded to 0.1, lies in our 95 % interval widened by 0.05; missed: it does not. "
    "The interval is the table's own: bootstrap over pictures, and Student's t over seeds where there are several. The "
    "paper prints one run each without error bars (arXiv 2403.14520v4, Tables 2 to 7), so how far a training run of "
    "theirs would move is not known, and with one seed of ours a miss can be the seed's. Only a study of the recipe's "
    "paper profile, unchanged but for its seeds, counts."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A result that stands beside a cell and counts for nothing there.

    Args:
        study: The study that it comes from.
        why_not: Why it is not comparable, such as `laptop profile`.
        benchmark: The benchmark that was measured.
        value: The score in points.
    """

    study: str
    why_not: str
    benchmark: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a published table.

    Args:
        column: Name of its column.
        paper: The published value.
        verdict: What the comparison came to.
        ours: Our value, points; None where it was not run.
        low: The least published value that would be met.
        high: The greatest published value that would be met.
        reason: Why it was not run, or what to know about a verdict; may be empty.
        beside: Results of another scale, which count for nothing here.
    """

    column: str
    paper: float
    verdict: Verdict
    ours: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedRow:
    """One row of a published table.

    Args:
        name: Its name in the table.
        sources: The recipes and arms that stand for it, the one to run first.
        needs: What this machine lacks for that one.
        cells: The cells that hold a published value.
    """

    name: str
    sources: tuple[Source, ...]
    needs: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A published table, cell by cell."""

    table: PaperTable
    rule: str
    rows: tuple[ReproducedRow, ...]

    def count(self, verdict: Verdict) -> int:
        """Returns how many cells have a verdict."""
        return sum(cell.verdict == verdict for row in self.rows for cell in row.cells)


def reproduction(name: str, studies: Path, *, recipes: Sequence[str] | None = None) -> Reproduction:
    """Returns what has become of a published table's cells; runs nothing.

    Args:
        name: Such as `paper.table5`.
        studies: The folder that holds studies.
        recipes: The recipes that may stand for rows; None: the packaged ones.

    Raises:
        CobraError: There is no such table, or a study is damaged.
    """
    plan_of.cache_clear()
    table, evidence = table_named(name), Evidence(studies)
    known = sources_of(recipes)
    rows = []
    for row in table.rows:
        model = table.model(row)
        sources = sorted(
            (source for source in known if source.model == model), key=lambda source: source.table != table.name
        )
        rows.append(_row(table, row, tuple(sources), evidence))
    return Reproduction(table=table, rule=RULE, rows=tuple(rows))


def _row(table: PaperTable, name: str, sources: tuple[Source, ...], evidence: Evidence) -> ReproducedRow:
    lacking = needs(sources[0]) if sources else ()
    row = table.row(name)
    cells = {
        column: _cell(table, column, value, sources, lacking, evidence)
        for column in table.results
        if column not in table.means and (value := row.number(column)) is not None
    }
    for column, parts in table.means.items():
        if (value := row.number(column)) is not None:
            cells[column] = _mean(column, value, [cells[part] for part in parts if part in cells], len(parts))
    return ReproducedRow(name=name, sources=sources, needs=lacking, cells=tuple(cells.values()))


def _cell(
    table: PaperTable,
    column: str,
    paper: float,
    sources: tuple[Source, ...],
    lacking: tuple[str, ...],
    evidence: Evidence,
) -> Cell:
    scores = evidence.of(sources, column)
    beside = tuple(_beside(score) for score in scores if not score.comparable)
    if scores and scores[0].comparable:
        return _judged(column, paper, scores[0], beside)
    reason = _not_run(table, column, sources, lacking)
    return Cell(column=column, paper=paper, verdict="not run", reason=reason, beside=beside)


def _judged(column: str, paper: float, evidence: MeasuredScore, beside: tuple[Beside, ...]) -> Cell:
    score = evidence.score
    low = (score.value if score.low is None else score.low) - ROUNDING
    high = (score.value if score.high is None else score.high) + ROUNDING
    return Cell(
        column=column,
        paper=paper,
        verdict="met" if low <= paper <= high else "missed",
        ours=score.value,
        low=low,
        high=high,
        reason=f"{evidence.study}, {evidence.seeds} seed{'s' if evidence.seeds > 1 else ''}{_unlikely(evidence)}",
        beside=beside,
    )


def _unlikely(evidence: MeasuredScore) -> str:
    if evidence.choice_mass is None or evidence.choice_mass >= SMALL_CHOICE_MASS:
        return ""
    mass = grid.percent(evidence.choice_mass)
    return f"; it ranks answers that have {mass} of the first token's probability together"


def _mean(column: str, paper: float, parts: Sequence[Cell], wanted: int) -> Cell:
    """Returns the parts' mean, with the mean of their intervals, as if they erred together: the widest it can be."""
    lows = [cell.low for cell in parts if cell.low is not None]
    highs = [cell.high for cell in parts if cell.high is not None]
    ours = [cell.ours for cell in parts if cell.ours is not None]
    if len(ours) < wanted:
        names = ", ".join(benchmark_name(cell.column) for cell in parts if cell.ours is None)
        return Cell(column=column, paper=paper, verdict="not run", reason=f"the mean of columns not run: {names}")
    low, high = fmean(lows), fmean(highs)
    verdict: Verdict = "met" if low <= paper <= high else "missed"
    return Cell(column=column, paper=paper, verdict=verdict, ours=fmean(ours), low=low, high=high)


def _not_run(table: PaperTable, column: str, sources: tuple[Source, ...], lacking: tuple[str, ...]) -> str:
    if not sources:
        return "no recipe stands for this row"
    if table.measures == "latency":
        alone = [source.recipe for source in sources if source.arm == ONLY_ARM]  # one model rather than all arms
        name = (alone or [sources[0].recipe])[0]
        return f"speed, which no study has: cobra-kit bench {name} --profile paper --protocol cobra measures it"
    if not any(offers(source, column) for source in sources):
        return "benchmark not asked: neither evaluate.benchmarks nor the data source has it"
    return f"needs {'; '.join(lacking)}" if lacking else "can be run here: --run"


def _beside(evidence: MeasuredScore) -> Beside:
    value = evidence.score.value
    return Beside(study=str(evidence.study), why_not=evidence.why_not, benchmark=evidence.benchmark, value=value)
