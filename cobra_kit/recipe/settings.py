"""Settings that somebody else's pydantic model describes, read from their place in a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from cobra_kit.recipe.check import validate
from cobra_kit.recipe.problems import raise_problems
from cobra_kit.recipe.schema import Recipe
from cobra_kit.recipe.tree import PathKeys

Settings = TypeVar("Settings", bound=BaseModel)


def settings_at(recipe: Recipe, path: PathKeys, model: type[Settings], *, without: Sequence[str] = ()) -> Settings:
    """Returns what stands at a path of the recipe as `model`; errors name file and line, as for every other key.

    Args:
        recipe: A loaded recipe.
        path: Where the settings stand, such as `("data",)`.
        model: The pydantic model that they must fit.
        without: Keys there that are not the model's, such as `source`.

    Raises:
        RecipeError: A setting is unknown, missing or wrong.
    """
    settings, problems = validate(model, recipe.tree, path, without=without)
    raise_problems(f"the recipe {recipe.name!r}", problems)
    assert settings is not None
    return settings
