"""The section of a sweep: history, importances, slices, pruned trials, all trials."""

from __future__ import annotations

import itertools
import json
from collections import Counter

from cobra_kit.report import grid
from cobra_kit.report.html.blocks import folded, grid_of, section, table
from cobra_kit.report.html.slices import slice_plots
from cobra_kit.report.markup import Child, Markup, element, join
from cobra_kit.report.plots import Curve, Point, bar_plot, figure, line_plot, scatter_plot, thinned
from cobra_kit.report.sweep import Parameter, SweepView, Trial

_MOST_ROWS = 500
_MOST_CURVES = 300


def sweep_sections(sweep: SweepView) -> list[Markup]:
    """Returns all sections about a sweep; those that would be empty are empty."""
    return [
        section("Sweep", _overview(sweep)),
        section("Search history", grid_of([*_history(sweep), *_fronts(sweep)])),
        section("What matters", _importances(sweep), slice_plots(sweep)),
        section("Pruned and failed trials", _curves(sweep), _stopped(sweep)),
        section("All trials", _all(sweep)),
    ]


def _overview(sweep: SweepView) -> Markup:
    states = Counter(trial.state for trial in sweep.trials)
    counts = ", ".join(f"{count:,} {state}" for state, count in states.items()) or "none yet"
    words = [f"Trials: {counts}."]
    if sweep.sampler:
        words.append(f"Sampler {sweep.sampler}" + (f", pruner {sweep.pruner}." if sweep.pruner else ", no pruner."))
    rows = []
    for index, objective in enumerate(sweep.objectives):
        best = sweep.best(index)
        value = "-" if best is None else f"{best.values[index]:.5g}"
        number = "-" if best is None else str(best.number)
        chosen = "" if best is None else _parameters(best)
        rows.append([objective.name, objective.direction, number, chosen, value])
    header = ["objective", "direction", "best trial", "its parameters", "value"]
    return join([element("p", " ".join(words)), table("The best trial of each objective", header, rows, words=4)])


def _history(sweep: SweepView) -> list[Markup]:
    """One plot per objective: the trials' values, and the best so far."""
    figures = []
    for index, objective in enumerate(sweep.objectives):
        complete = sweep.complete
        if not complete:
            continue
        so_far, best = [], complete[0].values[index]
        for trial in complete:
            best = trial.values[index] if objective.better(trial.values[index], best) else best
            so_far.append((float(trial.number), best))
        points = [(float(trial.number), trial.values[index]) for trial in complete]
        curves = [Curve("best so far", so_far, class_="front")]
        dots = [Curve(f"trial {number:g}", [(number, value)], class_="trial") for number, value in points]
        title = f"{objective.name} ({objective.direction})"
        figures.append(figure(title, line_plot([*dots, *curves], label=title, axis="trial"), "Line: the best so far."))
    return figures


def _fronts(sweep: SweepView) -> list[Markup]:
    """One plot per pair of objectives, with the Pareto front."""
    figures = []
    for (i, one), (j, other) in itertools.combinations(enumerate(sweep.objectives), 2):
        points = [Point(f"trial {t.number}", t.values[j], t.values[i], class_="trial") for t in sweep.complete]
        if points:
            title = f"{one.name} against {other.name}"
            plot = scatter_plot(points, label=title, axis=other.name, front=(other.direction, one.direction))
            figures.append(figure(title, plot, "Line: the Pareto front."))
    return figures


def _importances(sweep: SweepView) -> Markup:
    figures = []
    for objective, shares in sweep.importances.items():
        bars = sorted(((name, value) for name, value in shares.items() if value >= 0), key=lambda bar: -bar[1])
        if bars:
            title = f"Importance for {objective}"
            caption = f"By {sweep.importance_method}." if sweep.importance_method else None
            figures.append(figure(title, bar_plot(bars, label=title), caption))
    return grid_of(figures)


def _curves(sweep: SweepView) -> Markup:
    reported = [trial for trial in sweep.trials if trial.intermediate]
    if not reported:
        return Markup()
    shown = reported[-_MOST_CURVES:]
    curves = [
        Curve(
            f"trial {trial.number} ({trial.state})",
            thinned([(float(step), value) for step, value in sorted(trial.intermediate.items())], 60),
            class_="pruned" if trial.state == "pruned" else "kept",
        )
        for trial in sorted(shown, key=lambda trial: trial.state != "pruned")
    ]
    title = f"{sweep.objectives[0].name} while training"
    which = "" if len(shown) == len(reported) else f" The last {len(shown)} of {len(reported):,} trials."
    plot = line_plot(curves, label=title, axis="step")
    return grid_of([figure(title, plot, f"Grey: pruned trials.{which}")])


def _stopped(sweep: SweepView) -> Markup:
    stopped = [trial for trial in sweep.trials if trial.state in {"pruned", "infeasible", "failed"}]
    if not stopped:
        return Markup()
    header = ["trial", "state", "parameters", "why", "last step", "time"]
    rows = [
        [
            str(trial.number),
            trial.state,
            _parameters(trial),
            _wide(trial.error),
            f"{max(trial.intermediate):,}" if trial.intermediate else grid.NONE,
            grid.duration(trial.seconds),
        ]
        for trial in stopped[:_MOST_ROWS]
    ]
    caption = "Trials that were stopped" + _cut(len(stopped))
    return folded(f"{len(stopped):,} trials", table(caption, header, rows, words=4))


def _all(sweep: SweepView) -> Markup:
    header: list[Child] = ["trial", "state", "parameters", *(one.name for one in sweep.objectives), "time", "worker"]
    rows = [_line(sweep, trial) for trial in sweep.trials[:_MOST_ROWS]]
    label = element("label", "Only those with ", element("input", type="search", data_filters="trials"))
    search = element("p", label, class_="filter", hidden=True)
    caption = "Trials in the order they began" + _cut(len(sweep.trials))
    whole = element("div", table(caption, header, rows, words=3), id="trials")
    return folded(f"{len(sweep.trials):,} trials", search, whole) if rows else Markup()


def _line(sweep: SweepView, trial: Trial) -> list[Child]:
    values = [f"{value:.5g}" for value in trial.values] or [grid.NONE] * len(sweep.objectives)
    return [str(trial.number), trial.state, _parameters(trial), *values, grid.duration(trial.seconds), trial.worker]


def _cut(count: int) -> str:
    return f", the first {_MOST_ROWS} of {count:,}" if count > _MOST_ROWS else ""


def _parameters(trial: Trial) -> Markup:
    return _wide(", ".join(f"{name}={_shown(value)}" for name, value in trial.parameters.items()))


def _wide(words: str) -> Markup:
    """Returns the content of a cell that may take several lines, but not of one word each."""
    return element("div", words, class_="wide") if words else Markup()


def _shown(value: Parameter) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
