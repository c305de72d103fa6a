"""The section of a sweep: history, importances, slices, pruned trials, all trials."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from cobra_kit.report import grid
from cobra_kit.report.html.blocks import PageSection, figures_block
from cobra_kit.report.html.rendering import render
from cobra_kit.report.html.slices import slice_plots
from cobra_kit.report.plots import Curve, Figure, Point, bar_plot, line_plot, scatter_plot, thinned
from cobra_kit.report.sweep import SweepView, Trial

# More make the page slow to open and help nobody to read it; the study's folder has them all.
_MOST_ROWS = 500
_MOST_CURVES = 300


def sweep_sections(sweep: SweepView) -> list[PageSection]:
    """Returns all sections about a sweep; those that would be empty are empty."""
    stopped = [trial for trial in sweep.trials if trial.state in {"pruned", "infeasible", "failed"}]
    objectives = [objective.name for objective in sweep.objectives]
    return [
        PageSection("Sweep", _overview(sweep)),
        PageSection("Search history", figures_block([*_history(sweep), *_fronts(sweep)])),
        PageSection("What matters", _importances(sweep) + slice_plots(sweep)),
        PageSection("Pruned and failed trials", _curves(sweep) + _trials("sweep_stopped", stopped)),
        PageSection("All trials", _trials("sweep_trials", sweep.trials, objectives=objectives)),
    ]


def _overview(sweep: SweepView) -> Markup:
    states = Counter(trial.state for trial in sweep.trials)
    counts = ", ".join(f"{count:,} {state}" for state, count in states.items()) or "none yet"
    summary = [f"Trials: {counts}."]
    if sweep.sampler:
        summary.append(f"Sampler {sweep.sampler}" + (f", pruner {sweep.pruner}." if sweep.pruner else ", no pruner."))
    best = [(objective, sweep.best(index)) for index, objective in enumerate(sweep.objectives)]
    rows = [
        (objective, trial, grid.NONE if trial is None else f"{trial.values[index]:.5g}")
        for index, (objective, trial) in enumerate(best)
    ]
    return render("sweep_overview", summary=" ".join(summary), best=rows, parameters=_parameters)


def _history(sweep: SweepView) -> list[Figure]:
    """Returns a plot per objective: the trials' values, and the best so far."""
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
        figures.append(Figure(title, line_plot([*dots, *curves], label=title, axis="trial"), "Line: the best so far."))
    return figures


def _fronts(sweep: SweepView) -> list[Figure]:
    """Returns a plot per pair of objectives, with the Pareto front."""
    figures = []
    for (i, upwards), (j, across) in itertools.combinations(enumerate(sweep.objectives), 2):
        points = [Point(f"trial {t.number}", t.values[j], t.values[i], class_="trial") for t in sweep.complete]
        if points:
            title = f"{upwards.name} against {across.name}"
            plot = scatter_plot(points, label=title, axis=across.name, front=(across.direction, upwards.direction))
            figures.append(Figure(title, plot, "Line: the Pareto front."))
    return figures


def _importances(sweep: SweepView) -> Markup:
    figures = []
    for objective, shares in sweep.importances.items():
        bars = sorted(((name, value) for name, value in shares.items() if value >= 0), key=lambda bar: -bar[1])
        if bars:
            title = f"Importance for {objective}"
            caption = f"By {sweep.importance_method}." if sweep.importance_method else ""
            figures.append(Figure(title, bar_plot(bars, label=title), caption))
    return figures_block(figures)


def _curves(sweep: SweepView) -> Markup:
    reported = [trial for trial in sweep.trials if trial.intermediate]
    if not reported:
        return Markup()
    drawn = reported[-_MOST_CURVES:]
    curves = [
        Curve(
            f"trial {trial.number} ({trial.state})",
            thinned([(float(step), value) for step, value in sorted(trial.intermediate.items())], 60),
            class_="pruned" if trial.state == "pruned" else "kept",
        )
        # Pruned trials first, so that what ran to its end is drawn over them.
        for trial in sorted(drawn, key=lambda trial: trial.state != "pruned")
    ]
    title = f"{sweep.objectives[0].name} while training"
    which = "" if len(drawn) == len(reported) else f" The last {len(drawn)} of {len(reported):,} trials."
    plot = line_plot(curves, label=title, axis="step")
    return figures_block([Figure(title, plot, f"Grey: pruned trials.{which}")])


def _trials(template: str, trials: Sequence[Trial], **values: object) -> Markup:
    """Returns the first of these trials as a table that is shown on demand; nothing for none."""
    if not trials:
        return Markup()
    cut = f", the first {_MOST_ROWS} of {len(trials):,}" if len(trials) > _MOST_ROWS else ""
    summary = f"{len(trials):,} trials"
    return render(template, trials=trials[:_MOST_ROWS], summary=summary, cut=cut, parameters=_parameters, **values)


def _parameters(trial: Trial) -> str:
    values = {
        name: f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
        for name, value in trial.parameters.items()
    }
    return ", ".join(f"{name}={value}" for name, value in values.items())
