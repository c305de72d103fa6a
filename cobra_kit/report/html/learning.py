"""Learning speed on the page: accuracy on validation against steps, and the steps to a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from cobra_kit.report.html.blocks import figures_block, table_block
from cobra_kit.report.html.rendering import render
from cobra_kit.report.learning import MEAN
from cobra_kit.report.learning_text import learning_cells, learning_notes
from cobra_kit.report.plots import Bound, Curve, Figure, line_plot
from cobra_kit.report.table import MIN_SEEDS, AblationTable
from cobra_kit.report.view import RunView
from cobra_kit.statistics import seed_interval

# seed -> (step, accuracy, 0 to 1)
_Runs = Mapping[int, Sequence[tuple[float, float]]]


def learning(table: AblationTable, runs: Sequence[RunView]) -> Markup:
    """Returns curves of the mean over benchmarks and of each, and the table of steps; nothing without validations.

    Args:
        table: The table; its arms and seeds are drawn, and the stage whose steps it counts.
        runs: All runs of the study.
    """
    if table.learning is None:
        return Markup()
    counted = table.learning.stage
    drawn = {
        (run.arm, run.seed): curve
        for run in runs
        if run.arm in table.arms and run.seed in table.seeds
        for curve in run.curves
        if curve.stage == counted
    }
    benchmarks = dict.fromkeys(name for curve in drawn.values() for name in curve.accuracies)
    figures, fewest = [], len(table.seeds)
    for name in [*([MEAN] if len(benchmarks) > 1 else []), *benchmarks]:
        by_arm: dict[str, dict[int, Sequence[tuple[float, float]]]] = {}
        for (arm, seed), curve in drawn.items():
            points = curve.validations if name == MEAN else curve.accuracies.get(name, ())
            if points:
                by_arm.setdefault(arm, {})[seed] = points
        fewest = min(fewest, *map(len, by_arm.values()))
        if any(len(points) > 1 for by_seed in by_arm.values() for points in by_seed.values()):
            figures.append(_figure(table, name, by_arm))
    header, rows = learning_cells(table)
    caption = f"Steps of {counted} to a level on validation"
    steps = table_block(caption, ["benchmark", *header[1:]], rows, class_="steps")
    plots = figures_block(figures, note=_note(table, counted, fewest), legend=table.arms)
    return plots + steps + render("notes", lines=learning_notes(table))


def _figure(table: AblationTable, name: str, by_arm: Mapping[str, _Runs]) -> Figure:
    curves: list[Curve] = []
    for arm in table.arms:
        curves += _curves(table, arm, by_arm.get(arm, {}))
    title = "Mean over benchmarks" if name == MEAN else name
    rows = [row for row in table.learning.rows if row.benchmark == name] if table.learning else []
    levels = [Bound(which, value) for row in rows for which, value in (("floor", row.floor), ("level", row.level))]
    label = f"Accuracy on validation against steps: {title}"
    return Figure(title, line_plot(curves, label=label, axis="step", dots=True, levels=levels, limits=True))


def _curves(table: AblationTable, arm: str, runs: _Runs) -> list[Curve]:
    """Returns the mean over seeds with its band; of too few seeds, which have no band worth drawing, each run."""
    colour = table.arms.index(arm)
    if len(runs) < MIN_SEEDS:
        return [
            Curve(f"{arm}, seed {seed}", [(step, 100 * value) for step, value in points], colour)
            for seed, points in runs.items()
        ]
    by_step: dict[float, list[float]] = {}
    for points in runs.values():
        for step, value in points:
            by_step.setdefault(step, []).append(100 * value)
    # Where a seed has no validation the mean would jump, for another reason than learning.
    common = {step: values for step, values in sorted(by_step.items()) if len(values) == len(runs)}
    line, band = [], []
    for step, values in common.items():
        interval = seed_interval(values, level=table.level)
        line.append((step, interval.value))
        if interval.low is not None and interval.high is not None:
            band.append((step, max(interval.low, 0.0), min(interval.high, 100.0)))
    return [Curve(arm, line, colour, band=band)]


def _note(table: AblationTable, stage: str, fewest: int) -> str:
    text = f"Points on validation against optimiser steps of {stage}."
    if len(table.seeds) >= MIN_SEEDS:
        band = f"the {table.level * 100:.0f} % interval of that mean (Student's t)"
        text += f" Line: mean over seeds; band: {band}."
    if fewest < MIN_SEEDS:
        text += f" Of an arm with fewer than {MIN_SEEDS} seeds each run is a line, and there is no band."
    return f"{text} Horizontal lines: floor (dashed), level of the table below (dotted)."
