"""The recipes that have names: packaged ones and those of plugins."""

from __future__ import annotations

from dataclasses import dataclass

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.errors import RecipeError, first_line
from cobra_kit.recipe.load import read_merged
from cobra_kit.recipe.locate import builtin_recipes, find_recipe


@dataclass(frozen=True, slots=True)
class ListedRecipe:
    """One line of a list.

    Args:
        name: The name that `load_recipe` takes.
        title: Title of the recipe; empty if it has none.
        profiles: The names of its profiles.
        error: Why it cannot be read, or None.
    """

    name: str
    title: str = ""
    profiles: tuple[str, ...] = ()
    error: str | None = None


def list_recipes(registry: Registry | None = None) -> list[ListedRecipe]:
    """Returns the packaged recipes and those of plugins; one that cannot be read does not hide the others."""
    registry = registry or default_registry()
    return [_listed(name, registry) for name in (*builtin_recipes(), *sorted(registry.recipes()))]


def _listed(name: str, registry: Registry) -> ListedRecipe:
    try:
        tree, profiles = read_merged(find_recipe(name, registry=registry), registry)
    except RecipeError as error:
        return ListedRecipe(name, error=first_line(error))
    title = tree.get("title")
    return ListedRecipe(name, str(title.value) if title else "", profiles)
