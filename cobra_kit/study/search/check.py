"""What is wrong with a search space, found before the first trial."""

from __future__ import annotations

from collections.abc import Collection

from cobra_kit._plugins import Registry
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe, resolve
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.sweep import COSTS, Choice, Scalar
from cobra_kit.study.search.space import Space, Values, point_recipe


def check_space(recipe: Recipe, registry: Registry | None = None) -> None:
    """Tries every choice and both ends of every range once, each beside what the recipe has without the search.

    A point that only fails in combination is a finding of the search, not a mistake of the space.

    Args:
        recipe: It has a section `sweep`.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: A condition can never hold, or a path or a value is not the recipe's.
    """
    assert recipe.sweep is not None
    space = recipe.sweep.space
    problems = _impossible_conditions(recipe, space)
    raise_problems(f"the recipe {recipe.name!r}", problems)
    for path, choice in space.items():
        problems += _mistakes(recipe, space, path, choice, registry)
    raise_problems(f"the recipe {recipe.name!r}", problems)


def _impossible_conditions(recipe: Recipe, space: Space) -> list[RecipeError]:
    found: list[RecipeError] = []
    for path, choice in space.items():
        for other, wanted in (choice.when or {}).items():
            above = space[other]
            if above.choices is None:
                continue
            values = wanted if isinstance(wanted, list) else [wanted]
            if not any(value in above.choices for value in values):
                keys = ("sweep", "space", path, "when", other)
                listed = ", ".join(map(str, above.choices))
                found.append(
                    problem(
                        recipe.tree,
                        keys,
                        f"{path} is never sought: {other} is never {' or '.join(map(str, values))}",
                        f"its choices are {listed}",
                    )
                )
    return found


def _mistakes(recipe: Recipe, space: Space, path: str, choice: Choice, registry: Registry | None) -> list[RecipeError]:
    beside = _beside(space, path)
    failed: list[RecipeError] = []
    values = _ends(choice)
    for value in values:
        try:
            resolve(point_recipe(recipe, {**beside, path: value}), registry)
        except RecipeError as error:
            failed.append(error)
    # A choice that does not fit the recipe's own settings may fit others of the space.
    if len(failed) < len(values):
        return []
    hint = f"{failed[0].message}"
    if path.startswith("model.") and not path.endswith(".use") and not choice.when:
        hint += f"\nIf only some components have it, say which: when: {{{path.rpartition('.')[0]}.use: PLUGIN/NAME}}"
    return [problem(recipe.tree, ("sweep", "space", path), "the recipe takes none of these values", hint)]


def _ends(choice: Choice) -> list[Scalar]:
    return list(choice.choices) if choice.choices is not None else [choice.low, choice.high]


def _beside(space: Space, path: str) -> Values:
    """Returns the values that must hold for a path to be sought."""
    values: Values = {}
    for other, wanted in (space[path].when or {}).items():
        value = wanted[0] if isinstance(wanted, list) else wanted
        values |= {**_beside(space, other), other: value}
    return values


def check_objectives(recipe: Recipe, benchmarks: Collection[str]) -> None:
    """Raises a `RecipeError`, before anything is trained, if accuracy is sought and there are no benchmarks."""
    assert recipe.sweep is not None
    sought = [one.metric for one in recipe.sweep.objectives if one.metric not in COSTS]
    if sought and not benchmarks:
        raise problem(
            recipe.tree,
            ("sweep", "objectives"),
            f"{sought[0]} is an accuracy, and there are no benchmarks to ask",
            f"name data with benchmarks, or seek costs alone: {', '.join(COSTS)}",
        )
