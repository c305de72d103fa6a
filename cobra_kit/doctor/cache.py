"""The folder that compiled kernels, features and downloads are kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cobra_kit.files import user_cache


@dataclass(frozen=True, slots=True)
class CacheFolder:
    """The state of the cache folder.

    Args:
        folder: Path of the cache folder.
        size: Bytes in it; 0 where it does not exist yet.
        problem: Why it cannot be written, or None.
    """

    folder: Path
    size: int
    problem: str | None

    @property
    def remedy(self) -> str | None:
        """Returns what would help, or None."""
        return None if self.problem is None else "set COBRA_KIT_CACHE to a folder that can be written"


def cache_folder() -> CacheFolder:
    """Returns the cache as it is; creates nothing."""
    folder = user_cache()
    return CacheFolder(folder, _size(folder), _problem(folder))


def _problem(folder: Path) -> str | None:
    """Returns why files cannot be made in a folder that may not exist yet."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"no permission to write in {nearest}"
    return None


def _size(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):  # what cannot be read is left out
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue  # taken away meanwhile
    return total
