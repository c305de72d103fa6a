"""The files and folders that a data source's settings name; imports nothing heavy, since `plan` looks at them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from cobra_kit.data.sources import NamedSource, named_sources
from cobra_kit.files import expanded
from cobra_kit.recipe import Recipe


def named_paths(settings: BaseModel) -> list[tuple[str, Path]]:
    """Returns the files and folders that settings name, each with its setting."""
    named = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        named += [(name, path) for path in values if isinstance(path, Path)]
    return named


def missing_paths(recipe: Recipe) -> list[tuple[NamedSource, str, Path]]:
    """Returns the files and folders that are not there, each with the source and the setting that name it.

    Raises:
        RecipeError: The recipe has no data, names no known source, or a setting is wrong.
    """
    return [
        (source, name, path)
        for source in named_sources(recipe)
        for name, path in named_paths(source.settings(recipe))
        if not expanded(path).exists()
    ]
