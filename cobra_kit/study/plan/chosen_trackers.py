"""The trackers that a recipe and a command line name: found and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from cobra_kit._plugins import Extension, call_component, default_registry
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.check import validate
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.sections import NamedTracker
from cobra_kit.recipe.tree import Node, Origin


@dataclass(frozen=True, slots=True)
class ChosenTracker:
    """A tracker and its checked settings; nothing of it is imported but the settings.

    Args:
        extension: The tracker that was named.
        settings: Its settings, defaults included.
    """

    extension: Extension
    settings: BaseModel


def chosen_trackers(recipe: Recipe, named: Sequence[str] = ()) -> tuple[ChosenTracker, ...]:
    """Returns the trackers of a recipe, and those that are named beside it and not in it.

    Args:
        recipe: A loaded recipe.
        named: Names from the command line; their settings are the defaults.

    Raises:
        RecipeError: A tracker of the recipe is unknown, or a setting is wrong; all of them together.
        PluginError: A tracker that was named beside it is unknown.
    """
    chosen: list[ChosenTracker] = []
    problems: list[RecipeError] = []
    for index, entry in enumerate(recipe.trackers):
        tracker, wrong = _of_recipe(recipe, index, entry)
        problems += wrong
        if tracker is not None:
            chosen.append(tracker)
    raise_problems(f"the recipe {recipe.name!r}", problems)
    for name in dict.fromkeys(named):
        extension = default_registry().tracker(name)
        if extension in [tracker.extension for tracker in chosen]:
            continue
        settings, wrong = _checked(extension, Node({}, Origin(f"--tracker {name}")), ())
        raise_problems(f"--tracker {name}", wrong)
        assert settings is not None
        chosen.append(ChosenTracker(extension, settings))
    return tuple(chosen)


def _of_recipe(recipe: Recipe, index: int, entry: str | NamedTracker) -> tuple[ChosenTracker | None, list[RecipeError]]:
    path: tuple[str | int, ...] = ("trackers", index)
    bare = isinstance(entry, str)
    name = entry if isinstance(entry, str) else entry.use
    try:
        extension = default_registry().tracker(name)
    except PluginError as error:
        return None, [problem(recipe.tree, path if bare else (*path, "use"), error.message, error.hint)]
    if not bare:
        settings, problems = _checked(extension, recipe.tree, path)
    else:  # the name alone: what its settings lack is told where the name stands
        settings, inside = _checked(extension, Node({}, recipe.tree.origin_of(path)), ())
        problems = [problem(recipe.tree, path, f"{wrong.where}: {wrong.message}", wrong.hint) for wrong in inside]
    return None if settings is None else ChosenTracker(extension, settings), problems


def _checked(
    extension: Extension, tree: Node, path: tuple[str | int, ...]
) -> tuple[BaseModel | None, list[RecipeError]]:
    model = extension.load_config()
    return call_component(extension, lambda: validate(model, tree, path, without=("use",)))
