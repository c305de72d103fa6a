"""The files of data and benchmarks that a recipe names and this machine lacks; a look at a recipe needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from cobra_kit.data.asked import asked_of_plugins
from cobra_kit.data.named_paths import missing_paths
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
    for (label, name), group in groupby(missing_paths(recipe), key=lambda gone: (gone[0].label, gone[1])):
        gone = list(group)
        listed = f"{', '.join(str(path) for *_, path in gone)} {'is' if len(gone) == 1 else 'are'} not there"
        remedies = gone[0][0].factory().remedies(name) or ("Give its path.",)
        missing.append(Missing(f"{label}.{name}: {listed}", remedies))
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
