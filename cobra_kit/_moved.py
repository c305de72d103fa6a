"""Old names of what moved, for plugins and scripts that still import them: they work, and say where to look now.

`cobra_kit/__init__.py` installs the finder. It comes behind Python's own, so it costs nothing while no old name is
imported. What is listed here goes with the next major version.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = {
    "cobra_kit.store": "cobra_kit.files",
    "cobra_kit.data.llava": "cobra_kit_llava.source",
    "cobra_kit.data.lock": "cobra_kit.locks",
    "cobra_kit.data.pictures": "cobra_kit.data.images",
    "cobra_kit.data.scenes": "cobra_kit_scenes",
    "cobra_kit.statistics.bootstrap": "cobra_kit.statistics.intervals",
    "cobra_kit.study.devices": "cobra_kit.study.execution.devices",
    "cobra_kit.study.events": "cobra_kit.events",
    "cobra_kit.study.execution.events": "cobra_kit.events",
    "cobra_kit.study.forecast": "cobra_kit.forecast.forecast",
    "cobra_kit.study.loading": "cobra_kit.study.reading.loading",
    "cobra_kit.study.reporting": "cobra_kit.study.reading.report",
    "cobra_kit.study.reproduce": "cobra_kit.reproduce",
    "cobra_kit.study.results": "cobra_kit.study.reading.results",
    "cobra_kit.study.runner": "cobra_kit.study.execution.run_study",
    "cobra_kit.study.status": "cobra_kit.study.reading.status",
    "cobra_kit.study.stored": "cobra_kit.study.reading.stored_study",
    "cobra_kit.study.trials": "cobra_kit.trials",
}
"""Modules by their old name."""

NAMES: dict[str, str] = {
    "cobra_kit.data.pictures.LivePictures": "cobra_kit.data.images.LiveImages",
    "cobra_kit.data.pictures.NoPictures": "cobra_kit.data.images.NoImages",
    "cobra_kit.data.pictures.Pictures": "cobra_kit.data.images.Images",
    "cobra_kit.evaluate.control.shuffled_pictures": "cobra_kit.evaluate.control.shuffled_images",
}
"""Names by where they were: `cobra_kit.room.Old` -> `cobra_kit.room.New`; see `moved_name`."""


def moved_name(module: str, name: str) -> Any:
    """Returns what a module had under a name, for its `__getattr__`.

    Raises:
        AttributeError: Nothing of that name has moved.
    """
    old = f"{module}.{name}"
    if old not in NAMES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    home, _, new = NAMES[old].rpartition(".")
    _warn(old, NAMES[old], level=4)
    return getattr(import_module(home), new)


def _warn(old: str, new: str, level: int = 3) -> None:
    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=level)


class MovedModule(ModuleType):
    """Stands where a module was. Every name is looked up where it is now, with a warning at whoever asks for it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks for itself
            raise AttributeError(name)
        old = f"{self.__name__}.{name}"
        new = NAMES.get(old, f"{MODULES[self.__name__]}.{name}")
        home, _, name_now = new.rpartition(".")
        value = getattr(import_module(home), name_now)
        _warn(old, new)
        return value


class MovedFinder(MetaPathFinder, Loader):
    """Finds modules under the names they had."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns how to load an old name; None for every other."""
        return ModuleSpec(fullname, self) if fullname in MODULES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Returns the module that stands in the old place."""
        return MovedModule(spec.name, f"Moved to {MODULES[spec.name]}.")

    def exec_module(self, module: ModuleType) -> None:
        """Runs nothing: the names are looked up when they are asked for."""


def install() -> None:
    """Lets old names be imported."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
