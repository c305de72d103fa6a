"""A fingerprint of what is installed."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import cache

_METADATA = (".dist-info", ".egg-info")


@cache
def environment_fingerprint() -> str:
    """Returns a hash of Python's version, the platform, and the names and versions of all installed packages.

    From the names of the folders with their metadata, which hold the version: no file is read. What is installed in
    place (`pip install -e`) keeps its version while its code changes; for such code there is `source_fingerprint`.
    """
    installed = {name for place in sys.path for name in _names(place) if name.endswith(_METADATA)}
    lines = [sys.version, platform.machine(), sys.platform, *sorted(installed)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place or os.curdir)
    except OSError:  # a zip file, or a folder that is not there
        return []
