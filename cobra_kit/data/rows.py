"""The values that data sources give, under the names they had before they moved to `cobra_kit.interfaces`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from PIL.Image import Image

from cobra_kit.interfaces.benchmark import Benchmark, Question
from cobra_kit.interfaces.data_source import DataSource, HeldOutSplit, Split, TextForm, TrainingRow, used_images

__all__ = [
    "Benchmark",
    "DataSource",
    "FormerNames",
    "HeldOutSplit",
    "Question",
    "Split",
    "TextForm",
    "TrainingRow",
    "used_images",
    "with_image_names",
]


class FormerNames:
    """The names that a source's methods had before they were called after images; goes with the next major version."""

    image: Callable[[str], Image]
    image_ids: Callable[[Split], Sequence[str]]

    def picture(self, image_id: str) -> Image:
        """Returns `image(image_id)`, which has replaced it."""
        _warn_renamed("picture", "image")
        return self.image(image_id)

    def picture_ids(self, split: Split) -> Sequence[str]:
        """Returns `image_ids(split)`, which has replaced it."""
        _warn_renamed("picture_ids", "image_ids")
        return self.image_ids(split)


def with_image_names(source: DataSource) -> DataSource:
    """Returns a source whose methods have their names of today: one that was written with the former gets them."""
    for old, new in (("picture", "image"), ("picture_ids", "image_ids")):
        if not hasattr(source, new) and hasattr(source, old):
            _warn_renamed(f"{type(source).__name__}.{old}", new, level=4)
            setattr(source, new, getattr(source, old))
    return source


def _warn_renamed(old: str, new: str, level: int = 3) -> None:
    warnings.warn(f"{old} of a data source is called {new} now", DeprecationWarning, stacklevel=level)
