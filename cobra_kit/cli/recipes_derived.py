"""The sizes of a model as `cobra-kit recipes validate` has them: remembered, else from the meta device."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from cobra_kit.errors import NotFinishedError
from cobra_kit.recipe import DerivedSizes, ResolvedRecipe, remember_sizes, remembered_sizes, runs_as_on_disk, sizes_key


@dataclass(frozen=True, slots=True)
class UnknownSizes:
    """The reason why a model has no sizes: a part cannot be built in this version."""

    unknown: str


Sizes = DerivedSizes | UnknownSizes


def derived_sizes(resolved: ResolvedRecipe) -> Sizes:
    """Returns the derived sizes of a model; a part that is registered but not finished leaves them unknown.

    Raises:
        PluginError: A component cannot be loaded.
        ShapeError: Two parts do not fit.
    """
    for part in resolved.parts.values():
        if part.component.spec.unfinished:
            return UnknownSizes(f"{part.component.qualified} is not finished yet")
    key = sizes_key(resolved)
    known = None if key is None else remembered_sizes(key)
    if known is not None:
        return known
    with _collector_at_rest():
        return _built_sizes(resolved, key)


def _built_sizes(resolved: ResolvedRecipe, key: str | None) -> Sizes:
    from cobra_kit.model.building import build_sizes, sizes_follow_config  # torch comes with it

    try:
        sizes = build_sizes(resolved)
    except NotFinishedError as error:
        return UnknownSizes(error.message)
    # A file that was edited meanwhile is not what was built.
    if key is not None and sizes_follow_config(resolved) and runs_as_on_disk(resolved) and sizes_key(resolved) == key:
        remember_sizes(key, sizes)
    return sizes


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keeps the garbage collector from searching what stays anyway: the modules that are imported in a block.

    It would search torch's half a million objects several times while they are made, and all of them once more as the
    process ends: a quarter of the time of a look at a recipe.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)


def plain_sizes(sizes: Sizes) -> dict[str, Any]:
    """Returns the sizes as plain data, or why there are none."""
    return asdict(sizes)
