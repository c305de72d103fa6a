"""The fingerprint of a component's code, taken when the code is imported."""

from __future__ import annotations

import sys
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
    from cobra_kit.hashing import module_sources, source_fingerprint  # not needed to list plugins

    imported = sys.modules[modules[0]]
    if imported not in _FINGERPRINTS:
        places = dict.fromkeys(place for module in modules for place in module_sources(module))
        _FINGERPRINTS[imported] = source_fingerprint(places)
    return _FINGERPRINTS[imported]
