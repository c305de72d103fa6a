"""The recipe's data source: found by name among those of plugins, its settings checked with file and line."""

from __future__ import annotations

from contextlib import suppress

from pydantic import BaseModel

from cobra_kit._plugins import Extension, attributed, default_registry
from cobra_kit.data.rows import with_image_names
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces import DataSource, DataSourceFactory
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.settings import settings_at


def source_extension(recipe: Recipe) -> Extension:
    """Returns the data source that a recipe names; opens and imports nothing.

    Raises:
        RecipeError: The recipe has no data, or names no known source.
    """
    if recipe.data is None:
        raise RecipeError(
            "the recipe has no section `data`",
            where=str(recipe.tree.origin),
            hint=f"Add, for example, `data: {example_data()}`.",
        )
    try:
        return default_registry().data_source(recipe.data.source)
    except PluginError as error:
        raise problem(recipe.tree, ("data", "source"), error.message, error.hint) from error


def example_data() -> str:
    """Returns a section `data` for hints: that of a source which needs nothing else, where one is installed."""
    for source in default_registry().extensions("data_source"):
        with suppress(PluginError):
            if source.load_source().made_here:
                return f"{{source: {source.names[-1]}}}"
    return "{source: PLUGIN/NAME}"


def source_factory(recipe: Recipe) -> type[DataSourceFactory]:
    """Returns the class that opens the recipe's data source.

    Raises:
        RecipeError: As for `source_extension`.
        PluginError: The source cannot be imported.
    """
    return source_extension(recipe).load_source()


def source_settings(recipe: Recipe) -> BaseModel:
    """Returns the checked settings of the recipe's data source, defaults included; opens nothing.

    Raises:
        RecipeError: The recipe has no data, names no known source, or a setting is wrong.
        PluginError: The source cannot be imported.
    """
    return settings_at(recipe, ("data",), source_extension(recipe).load_config(), without=("source",))


def open_source(recipe: Recipe, report: Reporter = silent) -> DataSource:
    """Returns the recipe's data, made or read on first use.

    Args:
        recipe: A loaded recipe with a section `data`.
        report: Told about long work.

    Raises:
        RecipeError: As for `source_settings`.
        PluginError: The source cannot be imported, or its own code fails.
        DataError: The data are missing or broken.
    """
    settings, extension = source_settings(recipe), source_extension(recipe)
    factory = extension.load_source()
    with attributed((extension,)):
        return with_image_names(factory.open(settings, report))


def offered_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """Returns the names of the benchmarks that the recipe's data source has; opens nothing.

    Raises:
        RecipeError: The recipe has no data, or names no known source.
        PluginError: The source cannot be imported.
    """
    return tuple(source_factory(recipe).benchmark_names)


def is_made_here(recipe: Recipe) -> bool:
    """Returns whether the recipe's data are made on the spot; False without data."""
    return recipe.data is not None and source_factory(recipe).made_here


def known_fingerprint(recipe: Recipe) -> str | None:
    """Returns the fingerprint that the recipe's data will have, where that is known before they are opened.

    Raises:
        RecipeError: As for `source_settings`.
        PluginError: The source cannot be imported, or its own code fails.
    """
    settings, extension = source_settings(recipe), source_extension(recipe)
    factory = extension.load_source()
    with attributed((extension,)):
        return factory.fingerprint(settings)
