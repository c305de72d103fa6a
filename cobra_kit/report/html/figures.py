"""The plots of a study: scores, differences, speed, curves."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from markupsafe import Markup

from cobra_kit.report import grid
from cobra_kit.report.html.blocks import figures_block
from cobra_kit.report.plots import (
    Bound,
    Curve,
    Direction,
    Figure,
    PlotInterval,
    Point,
    interval_plot,
    line_plot,
    scatter_plot,
    thinned,
)
from cobra_kit.report.plots.lines import MOST_POINTS
from cobra_kit.report.table import AblationTable, TableRow
from cobra_kit.report.view import RunView

_LINES = "Vertical lines: what is reached without the picture (dashed), and the most that can be reached."
_LEAST_POINTS = 5.0  # that an axis of scores spans, so that a difference of nothing does not look large


def score_plots(table: AblationTable) -> Markup:
    """Returns one plot of all arms per benchmark; nothing without benchmarks."""
    figures = [Figure(grid.label(row), _scores(table, row)) for row in table.rows]
    return figures_block(figures, note=f"Points, with {table.level * 100:.0f} % intervals. {_LINES}")


def difference_plots(table: AblationTable) -> Markup:
    """Returns one plot of all benchmarks per arm that is compared with the reference."""
    figures = []
    for arm in table.others:
        rows = [
            PlotInterval(row.benchmark, difference.value, difference.low, difference.high, table.arms.index(arm))
            for row in table.rows
            if (difference := row.differences.get(arm)) is not None
        ]
        if rows:
            title = f"{arm} minus {table.reference}"
            plot = interval_plot(rows, label=title, axis="points", bounds=[Bound("zero", 0.0)])
            figures.append(Figure(title, plot))
    return figures_block(figures)


def speed_plots(table: AblationTable) -> Markup:
    """Returns mean accuracy against what it cost, with the Pareto front; nothing for one arm or without costs."""
    accuracy = {
        arm: fmean(row.scores[arm].value for row in table.rows)
        for arm in table.arms
        if table.rows and all(arm in row.scores for row in table.rows)
    }
    sides: tuple[tuple[str, str, Direction, dict[str, float | None]], ...] = (
        (
            "Accuracy against training time",
            "minutes of training (less is better)",
            "minimize",
            {arm: _minutes(table.costs[arm].training_seconds) for arm in accuracy},
        ),
        (
            "Accuracy against training speed",
            "tokens per second in training (more is better)",
            "maximize",
            {arm: table.costs[arm].tokens_per_second for arm in accuracy},
        ),
    )
    figures = []
    for title, axis, direction, speeds in sides:
        points = [
            Point(arm, speed, accuracy[arm], table.arms.index(arm))
            for arm, speed in speeds.items()
            if speed is not None
        ]
        if len(points) > 1:
            spans = (0.2 * max(point.x for point in points), _LEAST_POINTS)
            plot = scatter_plot(points, label=title, axis=axis, front=(direction, "maximize"), names=True, spans=spans)
            figures.append(Figure(title, plot))
    note = (
        "Upwards: the mean of the benchmarks' scores in the table above, where its intervals are. The line joins the "
        "arms that no other beats in both. Speed is that of training on this machine, not of answering."
    )
    return figures_block(figures, note=note)


def curve_plots(runs: Sequence[RunView], arms: Sequence[str]) -> Markup:
    """Returns loss and validation of all runs, one pair of plots per stage."""
    stages = dict.fromkeys(curve.stage for run in runs for curve in run.curves)
    figures = []
    for stage in stages:
        losses, looks = [], []
        for run in runs:
            colour = arms.index(run.arm)
            for curve in run.curves:
                if curve.stage == stage and curve.losses:
                    losses.append(Curve(run.name, thinned(curve.losses), colour))
                if curve.stage == stage and curve.validations:
                    points = [(step, 100 * value) for step, value in curve.validations]
                    looks.append(Curve(run.name, points, colour))
        if losses:
            plot = line_plot(losses, label=f"Loss in {stage}", axis="step", log=None)
            figures.append(Figure(f"Loss in {stage}", plot))
        if looks:
            plot = line_plot(looks, label=f"Validation in {stage}", axis="step", dots=True)
            figures.append(Figure(f"Validation in {stage}, mean accuracy in points", plot))
    if not figures:
        return Markup()
    longest = max(len(curve.losses) for run in runs for curve in run.curves)
    note = "Loss per supervised token" + (", neighbouring steps averaged." if longest > MOST_POINTS else ".")
    return figures_block(figures, note=note, legend=arms)


def _scores(table: AblationTable, row: TableRow) -> Markup:
    rows = [
        PlotInterval(arm, score.value, score.low, score.high, index)
        for index, arm in enumerate(table.arms)
        if (score := row.scores.get(arm)) is not None
    ]
    bounds = [
        Bound(name, value) for name, value in (("floor", row.floor), ("ceiling", row.ceiling)) if value is not None
    ]
    label = "; ".join(f"{interval.name} {interval.value:.1f}" for interval in rows)
    return interval_plot(rows, label=f"{row.benchmark}: {label}", axis="points", bounds=bounds, limits=True)


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60
