"""The fingerprint of a component's code, taken when the code is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

_FINGERPRINTS: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()
"""By imported module, so that what was edited since is not taken for what runs, and a new import is hashed anew."""


def code_fingerprint(*modules: str) -> str:
    """Returns a hash of the source files of the packages around some imported modules.

    The first call for a module reads them, later ones return the same: it is the code that this process runs.

    Args:
        modules: Full names; the first one must have been imported.

    Raises:
        CobraError: A source file cannot be read.
    """
    imported = sys.modules[modules[0]]
    if imported not in _FINGERPRINTS:
        _FINGERPRINTS[imported] = _fingerprint(_places(modules))
    return _FINGERPRINTS[imported]


def sources_fingerprint(*modules: str) -> str | None:
    """Returns a hash of the source files of the packages around some modules, as they are now; imports none of them.

    None where the code of one of them is in no file, such as in a zip.

    Raises:
        CobraError: A source file cannot be read.
    """
    places = [_places([module]) for module in modules]
    return _fingerprint(dict.fromkeys(chain(*places))) if all(places) else None


def _places(modules: Iterable[str]) -> dict[Path, None]:
    from cobra_kit.hashing import module_sources  # not needed to list plugins

    return dict.fromkeys(place for module in modules for place in module_sources(module))


def _fingerprint(places: Iterable[Path]) -> str:
    from cobra_kit.hashing import source_fingerprint

    return source_fingerprint(places)
