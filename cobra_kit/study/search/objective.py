"""The worth of a trial: accuracy on the validation split, and what the model costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from cobra_kit.errors import CobraError, PluginError, RecipeError, ShapeError
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.recipe.sweep import COSTS, MEAN, LimitSection, ObjectiveSection
from cobra_kit.study.plan.study_plan import RunPlan
from cobra_kit.study.reading.results import read_summaries
from cobra_kit.study.reading.stored_files import condition, read_training
from cobra_kit.trials import Infeasible

VAL = condition(None, "val")


def check_feasible(run: RunPlan, limits: Sequence[LimitSection]) -> None:
    """Builds a run's model without memory and holds it against the limits that are known beforehand.

    Raises:
        Infeasible: Its parts do not fit each other, or it is over a limit; says which.
    """
    try:
        model = compose(run.resolved, device="meta")
    except (ShapeError, RecipeError) as error:
        raise Infeasible(error.message) from error
    except PluginError as error:
        raise Infeasible(f"cannot be built: {error.message}") from error
    check_limits(known_costs(model), limits)


def check_limits(costs: Mapping[str, float], limits: Sequence[LimitSection], *, measured: bool = False) -> None:
    """Raises `Infeasible` if a cost that is known is over or under its limit.

    Args:
        costs: The costs that are known, by name.
        limits: The bounds that costs must keep.
        measured: Whether the trial is trained, so that every cost must be known by now.

    Raises:
        CobraError: A cost was not measured, so its limit cannot be held.
    """
    for limit in limits:
        value = costs.get(limit.metric)
        if value is None:
            if measured:
                raise CobraError(f"{limit.metric} is not measured on this system", hint="Take its limit out.")
            continue
        if limit.at_most is not None and value > limit.at_most:
            raise Infeasible(f"{limit.metric} {value:,.0f}, at most {limit.at_most:,.0f} allowed")
        if limit.at_least is not None and value < limit.at_least:
            raise Infeasible(f"{limit.metric} {value:,.0f}, at least {limit.at_least:,.0f} wanted")


def known_costs(model: VisionLanguageModel) -> dict[str, float]:
    """Returns the costs that need no training."""
    parameters = {id(p): p.numel() for p in model.parameters()}
    return {"parameters": sum(parameters.values()), "image_tokens": model.image_tokens().num_tokens}


def values_of(run: RunPlan, place: Path, objectives: Sequence[ObjectiveSection]) -> list[float]:
    """Returns a finished run's objective values.

    Args:
        run: The run that is finished.
        place: The run's folder; it is trained, and scored on the validation split.
        objectives: What the search optimises.

    Raises:
        CobraError: An objective is neither a benchmark nor a cost.
    """
    accuracies = read_summaries(place, VAL)
    costs = measured_costs(run, place)
    mean = {MEAN: fmean(accuracies.values())} if accuracies else {}
    figures = {**accuracies, **mean, **costs}
    return [_value(objective.metric, figures) for objective in objectives]


def measured_costs(run: RunPlan, place: Path) -> dict[str, float]:
    """Returns all costs of a finished run."""
    training = read_training(place)
    if training is None:
        raise CobraError("the run is not trained", where=str(place))
    costs = {
        **known_costs(compose(run.resolved, device="meta")),
        "parameters_trained": float(training.parameters_trained),
        "training_seconds": training.seconds + training.shared_seconds,
        "tokens_per_second": training.tokens_per_second or 0.0,
    }
    if training.peak_memory_bytes is not None:
        costs["memory_bytes"] = float(training.peak_memory_bytes)
    return costs


def _value(metric: str, figures: Mapping[str, float]) -> float:
    if metric in figures:
        return figures[metric]
    if metric in COSTS:
        raise CobraError(f"{metric} was not measured here")
    raise CobraError(f"no benchmark named {metric!r} to seek", hint=f"There are {', '.join(figures)}.")
