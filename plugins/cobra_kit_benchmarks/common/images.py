"""The images that questions are about, found in their folder before anything is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cobra_kit.errors import DataError
from cobra_kit_benchmarks.common.items import Item

_ENDINGS = (".jpg", ".png", ".jpeg", ".webp")


def checked_images(items: Sequence[Item], folder: Path) -> tuple[Item, ...]:
    """Returns the items with their images' names as the folder has them; the ending alone may be another one.

    Raises:
        DataError: Images are missing; counted, the first one named.
    """
    present = set(os.listdir(folder))
    names: dict[str, str | None] = {}
    for item in items:
        if item.image not in names:
            names[item.image] = _in_folder(item.image, present)
    missing = [name for name, known in names.items() if known is None]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(names):,} images are missing, such as {missing[0]!r}",
            where=str(folder),
            hint="Unpack the images there, or name their folder by `images`.",
        )
    return tuple(
        item if names[item.image] == item.image else replace(item, image=str(names[item.image])) for item in items
    )


def _in_folder(name: str, present: set[str]) -> str | None:
    if name in present:
        return name
    stem = name.rpartition(".")[0]
    return next((stem + ending for ending in _ENDINGS if stem + ending in present), None)
