"""The search space: what a trial suggests, every point of a grid, and the recipe of a point."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.check import check_structure
from cobra_kit.recipe.merge import join, merge
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.sweep import MAX_TRIALS, Choice, Scalar
from cobra_kit.recipe.tree import Node, Origin, from_plain

if TYPE_CHECKING:
    from optuna import Trial

Space = Mapping[str, Choice]
Values = dict[str, Scalar]
"""Per path what was chosen: a value, or the name of an alternative."""


def suggest(trial: Trial, space: Space) -> Values:
    """Returns a trial's values; what is not sought beside its other values is left out."""
    values: Values = {}
    for path, choice in space.items():
        if applies(choice, values):
            values[path] = _suggest(trial, path, choice)
    return values


def applies(choice: Choice, values: Mapping[str, Scalar]) -> bool:
    """Returns whether something is sought beside these values."""
    return all(
        other in values and values[other] in (wanted if isinstance(wanted, list) else [wanted])
        for other, wanted in (choice.when or {}).items()
    )


def ends(choice: Choice) -> Sequence[Scalar]:
    """Returns all choices, or both ends of a range."""
    if choice.choices is not None:
        return list(choice.choices)
    if choice.count is None or choice.log:
        return [choice.low, choice.high]
    return [choice.value(0), choice.value(choice.count - 1)]


def grid(recipe: Recipe, space: Space) -> list[Values]:
    """Returns every point of a space, conditions kept.

    Raises:
        RecipeError: A number has no step, or there are more points than anybody runs.
    """
    check_grid(recipe, space)
    steps = {path: choice.values() for path, choice in space.items()}
    return list(_points(space, steps))


def check_grid(recipe: Recipe, space: Space) -> None:
    """Counts the points of a grid without laying them down.

    Raises:
        RecipeError: A number has no step, or there are more points than anybody runs.
    """
    counts: list[int] = []
    for path, choice in space.items():
        if choice.count is None or choice.log:
            raise problem(
                recipe.tree, ("sweep", "space", path), "a grid needs steps", "give step, or a list of choices"
            )
        counts.append(choice.count)
    if (size := math.prod(counts)) > MAX_TRIALS:
        message = f"a grid of {size:,} points, and at most {MAX_TRIALS:,} are run"
        raise problem(recipe.tree, ("sweep", "space"), message, "use fewer choices, or a sampler")


def point_recipe(recipe: Recipe, values: Mapping[str, Scalar]) -> Recipe:
    """Returns the recipe with a point's values laid over it, without the search.

    Raises:
        RecipeError: The recipe cannot have these values.
    """
    assert recipe.sweep is not None
    body = recipe.tree.without("sweep", "ablation")
    changes = []
    for path, value in values.items():
        choices = recipe.sweep.space[path].choices
        chosen = choices[str(value)] if isinstance(choices, dict) else value
        overlay = from_plain(chosen, Origin(f"{path} of the sweep"))
        for key in reversed(path.split(".")):
            overlay = Node({key: overlay}, overlay.origin)
        changes.append(overlay)
    if (joined := join(changes)) is not None:
        body = merge(body, joined)
    checked, problems = check_structure(body)
    raise_problems(f"the recipe {recipe.name!r}", problems)
    if checked is None:
        raise RecipeError("the recipe cannot have these values", where=recipe.name)
    return checked.located(body, name=recipe.name, profile=recipe.profile, profiles=recipe.profile_names)


def _suggest(trial: Trial, path: str, choice: Choice) -> Scalar:
    if choice.choices is not None:
        return trial.suggest_categorical(path, list(choice.choices))
    assert choice.low is not None
    assert choice.high is not None
    if choice.is_whole:
        return trial.suggest_int(path, int(choice.low), int(choice.high), step=int(choice.step or 1), log=choice.log)
    return trial.suggest_float(path, choice.low, choice.high, step=choice.step, log=choice.log)


def _points(space: Space, steps: Mapping[str, Sequence[Scalar]]) -> Iterator[Values]:
    seen: set[tuple[tuple[str, Scalar], ...]] = set()
    for combination in itertools.product(*steps.values()):
        values: Values = {}
        for (path, choice), value in zip(space.items(), combination, strict=True):
            if applies(choice, values):
                values[path] = value
        key = tuple(values.items())
        if key not in seen:
            seen.add(key)
            yield values
