"""Data sources by name; each is imported when it is asked for, and checks its own settings.

A source is a module with `Params` (a pydantic model) and `open_source(params, report) -> DataSource`; one that is made
on the spot also has `fingerprint(params) -> str`. `BENCHMARKS` names the benchmarks it may have, none for rows alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from pydantic import BaseModel

from cobra_kit.data.rows import DataSource
from cobra_kit.errors import RecipeError
from cobra_kit.events import Reporter, silent
from cobra_kit.formatting import suggest
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.settings import settings_at

SOURCES = {"scenes": "cobra_kit.data.scenes.source", "llava": "cobra_kit.data.llava"}
"""Name in a recipe -> module."""


def source_settings(recipe: Recipe) -> BaseModel:
    """Returns the checked settings of the recipe's data source, defaults included; opens nothing.

    Raises:
        RecipeError: The recipe has no data, names no known source, or a setting is wrong.
    """
    model: type[BaseModel] = import_module(_module(recipe)).Params
    return settings_at(recipe, ("data",), model, without=("source",))


def open_source(recipe: Recipe, report: Reporter = silent) -> DataSource:
    """Returns the recipe's data, made or read on first use.

    Args:
        recipe: A loaded recipe with a section `data`.
        report: Told about long work.

    Raises:
        RecipeError: As for `source_settings`.
        DataError: The data are missing or broken.
    """
    settings = source_settings(recipe)
    return cast("DataSource", import_module(_module(recipe)).open_source(settings, report))


def offered_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """Returns the names of the benchmarks that the recipe's data source has; opens nothing.

    Raises:
        RecipeError: The recipe has no data, or names no known source.
    """
    return tuple(getattr(import_module(_module(recipe)), "BENCHMARKS", ()))


def known_fingerprint(recipe: Recipe) -> str | None:
    """Returns the fingerprint that the recipe's data will have, where that is known before they are opened.

    Raises:
        RecipeError: As for `source_settings`.
    """
    settings = source_settings(recipe)
    known = getattr(import_module(_module(recipe)), "fingerprint", None)
    return None if known is None else cast("str", known(settings))


def _module(recipe: Recipe) -> str:
    if recipe.data is None:
        raise RecipeError(
            "the recipe has no section `data`",
            where=str(recipe.tree.origin),
            hint="Add, for example, `data: {source: scenes}`.",
        )
    name = recipe.data.source
    if name not in SOURCES:
        hint = suggest(name, SOURCES, what="sources")
        raise problem(recipe.tree, ("data", "source"), f"no data source named {name!r}", hint)
    return SOURCES[name]
