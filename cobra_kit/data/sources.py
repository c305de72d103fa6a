"""The recipe's data sources: found by name among those of plugins, their settings checked with file and line."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel

from cobra_kit._plugins import Extension, attributed, default_registry
from cobra_kit.data.mixture import MixedPart, MixedSource, mixed_fingerprint, mixed_name, repeated
from cobra_kit.data.rows import with_image_names
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces import DataSource, DataSourceFactory
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.sections import DataSection, ListedSource
from cobra_kit.recipe.settings import settings_at


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A data source that a recipe names; nothing is opened.

    Args:
        path: Where it stands in the recipe: `data`, or a place of the list there.
        section: What stands there.
        extension: The source that it names.
        prefix: What the names of its rows and images begin with where there are several sources.
    """

    path: tuple[str | int, ...]
    section: DataSection
    extension: Extension
    prefix: str

    @property
    def weight(self) -> float:
        """Returns how often an epoch has its rows."""
        return self.section.weight if isinstance(self.section, ListedSource) else 1.0

    @property
    def label(self) -> str:
        """Returns the place as it is written, such as `data` or `data.0`."""
        return ".".join(map(str, self.path))

    def factory(self) -> type[DataSourceFactory]:
        """Returns the class that opens it.

        Raises:
            PluginError: It cannot be imported.
        """
        return self.extension.load_source()

    def settings(self, recipe: Recipe) -> BaseModel:
        """Returns its checked settings, defaults included.

        Raises:
            RecipeError: A setting is wrong.
        """
        own = tuple(type(self.section).model_fields)
        return settings_at(recipe, self.path, self.extension.load_config(), without=own)

    def open(self, recipe: Recipe, report: Reporter) -> DataSource:
        """Returns the source, made or read on first use."""
        settings, factory = self.settings(recipe), self.factory()
        with attributed((self.extension,)):
            return with_image_names(factory.open(settings, report))

    def known_fingerprint(self, recipe: Recipe) -> str | None:
        """Returns the fingerprint that it will have, where that is known before it is opened."""
        settings, factory = self.settings(recipe), self.factory()
        with attributed((self.extension,)):
            return factory.fingerprint(settings)


def named_sources(recipe: Recipe) -> tuple[NamedSource, ...]:
    """Returns the data sources that a recipe names, in its order; opens and imports nothing.

    Raises:
        RecipeError: The recipe has no data, or names no known source.
    """
    if recipe.data is None:
        raise RecipeError(
            "the recipe has no section `data`",
            where=str(recipe.tree.origin),
            hint=f"Add, for example, `data: {example_data()}`.",
        )
    paths: list[tuple[str | int, ...]] = [("data",)]
    if isinstance(recipe.data, list):
        paths = [("data", index) for index in range(len(recipe.data))]
    sources: list[NamedSource] = []
    used: Counter[str] = Counter()
    for path, section in zip(paths, recipe.sources, strict=True):
        try:
            extension = default_registry().data_source(section.source)
        except PluginError as error:
            raise problem(recipe.tree, (*path, "source"), error.message, error.hint) from error
        used[extension.plugin] += 1
        count = used[extension.plugin]
        prefix = extension.plugin if count == 1 else f"{extension.plugin}-{count}"
        sources.append(NamedSource(path, section, extension, prefix))
    return tuple(sources)


def example_data() -> str:
    """Returns a section `data` for hints: that of a source which needs nothing else, where one is installed."""
    for source in default_registry().extensions("data_source"):
        with suppress(PluginError):
            if source.load_source().made_here:
                return f"{{source: {source.names[-1]}}}"
    return "{source: PLUGIN/NAME}"


def source_settings(recipe: Recipe) -> tuple[BaseModel, ...]:
    """Returns the checked settings of the recipe's data sources, defaults included; opens nothing.

    Raises:
        RecipeError: The recipe has no data, names no known source, or a setting is wrong.
        PluginError: A source cannot be imported.
    """
    return tuple(source.settings(recipe) for source in named_sources(recipe))


def with_defaults(recipe: Recipe) -> DataSection | list[ListedSource]:
    """Returns the section `data` with nothing left to defaults.

    Raises:
        RecipeError: As for `source_settings`.
        PluginError: A source cannot be imported.
    """
    sources = named_sources(recipe)
    plain = [source.settings(recipe).model_dump(mode="json", exclude_none=True) for source in sources]
    if not isinstance(recipe.data, list):
        return DataSection(source=sources[0].section.source, **plain[0])
    return [
        ListedSource(source=source.section.source, weight=source.weight, **settings)
        for source, settings in zip(sources, plain, strict=True)
    ]


def extension_lock(recipe: Recipe) -> dict[str, str]:
    """Returns per source, where `data` is a list, the distribution it came from."""
    sources = named_sources(recipe) if isinstance(recipe.data, list) else ()
    return {source.extension.qualified: source.extension.distribution for source in sources}


def open_source(recipe: Recipe, report: Reporter = silent) -> DataSource:
    """Returns the recipe's data, made or read on first use; several sources are one.

    Args:
        recipe: A loaded recipe with a section `data`. Its seed says which rows a weight below 1 leaves.
        report: Told about long work.

    Raises:
        RecipeError: As for `source_settings`.
        PluginError: A source cannot be imported, or its own code fails.
        DataError: The data are missing or broken.
    """
    sources = named_sources(recipe)
    if not isinstance(recipe.data, list):
        return sources[0].open(recipe, report)
    parts = [MixedPart(source.prefix, source.open(recipe, report), source.weight) for source in sources]
    return MixedSource(parts, recipe.seed, repeated([source.factory().benchmark_names for source in sources]))


def offered_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """Returns the names of the benchmarks that the recipe's data sources have; opens nothing.

    Raises:
        RecipeError: The recipe has no data, or names no known source.
        PluginError: A source cannot be imported.
    """
    sources = named_sources(recipe)
    listed = [source.factory().benchmark_names for source in sources]
    if not isinstance(recipe.data, list):
        return tuple(listed[0])
    shared = repeated(listed)
    return tuple(
        mixed_name(source.prefix, name, shared) for source, names in zip(sources, listed, strict=True) for name in names
    )


def is_made_here(recipe: Recipe) -> bool:
    """Returns whether the recipe's data are made on the spot; False without data."""
    return recipe.data is not None and all(source.factory().made_here for source in named_sources(recipe))


def known_fingerprint(recipe: Recipe) -> str | None:
    """Returns the fingerprint that the recipe's data will have, where that is known before they are opened.

    Raises:
        RecipeError: As for `source_settings`.
        PluginError: A source cannot be imported, or its own code fails.
    """
    sources = named_sources(recipe)
    known = [source.known_fingerprint(recipe) for source in sources]
    if not isinstance(recipe.data, list):
        return known[0]
    parts = [
        (source.prefix, source.weight, fingerprint)
        for source, fingerprint in zip(sources, known, strict=True)
        if fingerprint is not None
    ]
    return mixed_fingerprint(parts) if len(parts) == len(sources) else None
