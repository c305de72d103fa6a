"""The files of data and benchmarks that a recipe names and this machine lacks; a look at a recipe needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from cobra_kit.data.asked import asked_of_plugins
from cobra_kit.data.named_paths import named_paths
from cobra_kit.data.sources import named_sources
from cobra_kit.files import expanded
from cobra_kit.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that is not here.

    Args:
        what: What, and which setting asks for it.
        remedies: Commands and links that supply it, each a line.
    """

    what: str
    remedies: tuple[str, ...]


def missing_data(recipe: Recipe) -> list[Missing]:
    """Returns the files and folders that the data source's settings name and that are not there, by setting."""
    missing = []
    for source in named_sources(recipe):
        by_setting: dict[str, list[str]] = {}
        for name, path in named_paths(source.settings(recipe)):
            if not expanded(path).exists():
                by_setting.setdefault(name, []).append(str(path))
        for name, paths in by_setting.items():
            listed = f"{', '.join(paths)} {'is' if len(paths) == 1 else 'are'} not there"
            remedies = source.factory().remedies(name) or ("Give its path.",)
            missing.append(Missing(f"{source.label}.{name}: {listed}", remedies))
    return missing


def missing_benchmark_files(recipe: Recipe) -> list[Missing]:
    """Returns the files of benchmarks that the recipe names and that are not there, each benchmark once."""
    missing = []
    for asked in asked_of_plugins(recipe):
        if files := asked.missing_files():
            listed = ", ".join(f"{role} {path}" for role, path in files.items())
            remedies = asked.prepare_commands() or ("evaluate.benchmarks names its folder.",)
            missing.append(Missing(f"benchmark {asked.name}: {listed} not there", remedies))
    return missing
