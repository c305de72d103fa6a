"""Checks that the parts of a search fit each other: sampler, objectives, number of trials, space."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from cobra_kit.data.sources import offered_benchmarks
from cobra_kit.errors import RecipeError
from cobra_kit.formatting import suggest
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.sweep import COSTS, MEAN
from cobra_kit.study.search.algorithms import GRID
from cobra_kit.study.search.pruning import pruner_remark
from cobra_kit.study.search.space import grid

_CMAES, _AT_LEAST = "cmaes", 2
_RANDOM_FIRST: Mapping[str, tuple[str, int]] = {
    "tpe": ("n_startup_trials", 10),
    "gp": ("n_startup_trials", 10),
    "nsgaii": ("population_size", 50),
}
"""Per sampler of Optuna's the option that says how many trials it draws at random first, and its default."""


def number_of_trials(recipe: Recipe, trials: int | None = None) -> int:
    """Returns how many trials a search has: a grid its points, else what is asked for."""
    assert recipe.sweep is not None
    if recipe.sweep.sampler.use == GRID:
        return len(grid(recipe, recipe.sweep.space))
    return trials or recipe.sweep.trials


def check_agreement(recipe: Recipe) -> None:
    """Raises a `RecipeError` if a part of the search could never do what it is there for.

    Args:
        recipe: It has a section `sweep`, whose space was checked.
    """
    problems = [*_objectives(recipe), *_grid(recipe), *_cmaes(recipe)]
    raise_problems(f"the recipe {recipe.name!r}", problems)


def check_objectives(recipe: Recipe, benchmarks: Collection[str]) -> None:
    """Raises a `RecipeError`, before anything is trained, if accuracy is sought and there are no benchmarks."""
    assert recipe.sweep is not None
    sought = [objective.metric for objective in recipe.sweep.objectives if objective.metric not in COSTS]
    if sought and not benchmarks:
        raise problem(
            recipe.tree,
            ("sweep", "objectives"),
            f"{sought[0]} is an accuracy, and there are no benchmarks to ask",
            f"name data with benchmarks, or seek costs alone: {', '.join(COSTS)}",
        )


def remarks(recipe: Recipe, trials: int | None = None) -> list[str]:
    """Returns what a user should know of a search that runs all the same.

    Args:
        recipe: It has a section `sweep`.
        trials: How many, instead of what the section says.
    """
    section = recipe.sweep
    assert section is not None
    count, sampler = number_of_trials(recipe, trials), section.sampler
    lines: list[str] = []
    points = math.prod(choice.count or 0 for choice in section.space.values())
    if sampler.use == GRID:
        if "trials" in section.model_fields_set and section.trials > count:
            lines.append(f"sweep.trials is {section.trials}, but the grid has {_points(count)}: each runs once")
        if "seed" in section.model_fields_set:
            lines.append("sweep.seed is not read: a grid samples nothing")
    elif points and count > points:
        lines.append(f"{count} trials, but the space has {_points(points)} at most: the others repeat one")
    if sampler.use in _RANDOM_FIRST:
        option, default = _RANDOM_FIRST[sampler.use]
        first = sampler.options().get(option, default)
        if isinstance(first, int) and first >= count:
            text = f"{sampler.use} draws its first {first} trials at random, so all {count} are"
            lines.append(f"{text}; sweep.sampler.{option} says how many")
    if section.pruner is not None and (remark := pruner_remark(recipe, count)) is not None:
        lines.append(remark)
    by_chance = [path for path, choice in section.space.items() if choice.when]
    if sampler.use == _CMAES:
        by_chance = [path for path, choice in section.space.items() if choice.when or not choice.is_number]
    if by_chance and sampler.use in (_CMAES, "gp"):
        learnt = "ranges that every trial has" if sampler.use == _CMAES else "what every trial has"
        lines.append(f"{sampler.use} draws {', '.join(by_chance)} at random: it learns from {learnt}")
    return lines


def _objectives(recipe: Recipe) -> list[RecipeError]:
    """Returns an error per objective that no trial will have a value of."""
    section = recipe.sweep
    assert section is not None
    if any(path.startswith(("data.source", "evaluate.benchmarks")) or path == "data" for path in section.space):
        return []
    offered = offered_benchmarks(recipe)
    chosen = recipe.evaluate.own_benchmarks if recipe.evaluate is not None else None
    asked = offered if chosen is None else chosen
    known = [*([MEAN] if offered and asked else []), *(name for name in asked if name in offered)]
    problems: list[RecipeError] = []
    for index, objective in enumerate(section.objectives):
        metric, keys = objective.metric, ("sweep", "objectives", index, "metric")
        if metric in COSTS or metric in known:
            continue
        if metric in offered:
            message = f"{metric} is not among evaluate.benchmarks, so no trial has a value of it"
            problems.append(problem(recipe.tree, keys, message, f"There are {', '.join([*known, *COSTS])}."))
            continue
        message = f"no benchmark named {metric!r} to seek"
        if metric == MEAN:
            message = "the data source has no benchmarks, so there is no mean to seek"
        problems.append(problem(recipe.tree, keys, message, suggest(metric, [*known, *COSTS], what="there are")))
    return problems


def _grid(recipe: Recipe) -> list[RecipeError]:
    section = recipe.sweep
    assert section is not None
    if section.sampler.use != GRID or "trials" not in section.model_fields_set:
        return []
    points = number_of_trials(recipe)
    if section.trials >= points:
        return []
    message = f"a grid runs all its {_points(points)}, and sweep.trials says {section.trials}"
    hint = "Leave trials out, use fewer choices, or `sampler: {use: random}`."
    return [problem(recipe.tree, ("sweep", "trials"), message, hint)]


def _cmaes(recipe: Recipe) -> list[RecipeError]:
    section = recipe.sweep
    assert section is not None
    if section.sampler.use != _CMAES:
        return []
    if len(section.objectives) > 1:
        hint = "Seek one objective, or use nsgaii, tpe or gp."
        return [problem(recipe.tree, ("sweep", "sampler"), "cmaes seeks one objective", hint)]
    numbers = [path for path, choice in section.space.items() if choice.is_number and not choice.when]
    if len(numbers) >= _AT_LEAST:
        return []
    message = f"cmaes learns from two ranges or more that every trial has; the space has {len(numbers)}"
    return [problem(recipe.tree, ("sweep", "sampler"), message, "Use tpe or gp, which learn from any space.")]


def _points(count: int) -> str:
    return f"{count} {'point' if count == 1 else 'points'}"
