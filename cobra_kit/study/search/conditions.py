"""The conditions of a search space: what stands beside a path, and what can never hold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.sweep import Choice, Scalar
from cobra_kit.study.search.space import Space, Values, applies

_MOST_COMBINATIONS = 10_000


def beside(space: Space, path: str) -> Values:
    """Returns the values that must hold for a path to be sought."""
    values: Values = {}
    for other, wanted in (space[path].when or {}).items():
        value = wanted[0] if isinstance(wanted, list) else wanted
        values |= {**beside(space, other), other: value}
    return values


def impossible_conditions(recipe: Recipe, space: Space) -> list[RecipeError]:
    """Returns an error per condition, or value of one, that never holds."""
    problems: list[RecipeError] = []
    for path, choice in space.items():
        for other, wanted in (choice.when or {}).items():
            keys = ("sweep", "space", path, "when", other)
            values = wanted if isinstance(wanted, list) else [wanted]
            for value in values:
                if (hint := _never(space[other], value)) is None:
                    continue
                whole = "" if len(values) == 1 else f" for {show_value(value)}"
                message = f"{path} is never sought{whole}: {other} is never {show_value(value)}"
                problems.append(problem(recipe.tree, keys, message, hint))
        if choice.when and not problems and not _can_be_sought(space, path):
            message = f"{path} is never sought: its conditions exclude each other"
            problems.append(problem(recipe.tree, ("sweep", "space", path, "when"), message, "Remove one of them."))
    return problems


def _never(choice: Choice, value: Scalar) -> str | None:
    """Returns what a setting can be, if it can never be `value`."""
    if choice.choices is not None:
        return None if value in choice.choices else f"its choices are {', '.join(map(show_value, choice.choices))}"
    if choice.count is None:
        return "it has a range without steps, so no single value can be named: give it a step, or choices"
    assert choice.low is not None
    assert choice.high is not None
    if isinstance(value, int | float) and choice.low <= value <= choice.high and choice.nearest(value) == value:
        return None
    return f"it goes from {choice.low} to {choice.high} in steps of {choice.step or 1}"


def _can_be_sought(space: Space, path: str) -> bool:
    """Returns whether any values of what a path depends on fulfil its condition, and theirs."""
    for number, values in enumerate(_assignments(space, path)):
        if applies(space[path], values) or number >= _MOST_COMBINATIONS:
            return True
    return False


def _assignments(space: Space, path: str) -> Iterator[Values]:
    depends = _ancestors(space, path)
    names = [key for key in space if key in depends]
    wanted: dict[str, list[Scalar]] = {key: [] for key in names}
    for key in (*names, path):
        for other, values in (space[key].when or {}).items():
            wanted[other] += values if isinstance(values, list) else [values]
    for combination in itertools.product(*(wanted[key] for key in names)):
        assigned: Values = {}
        for key, value in zip(names, combination, strict=True):
            if applies(space[key], assigned):
                assigned[key] = value
        yield assigned


def _ancestors(space: Space, path: str) -> set[str]:
    paths: set[str] = set()
    for other in space[path].when or ():
        paths |= {other, *_ancestors(space, other)}
    return paths


def show_value(value: Scalar) -> str:
    """Returns a value as a recipe writes it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
