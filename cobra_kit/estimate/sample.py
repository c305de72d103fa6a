"""A small part of a recipe's data, to measure rows and speed on, and how much more of it the recipe has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cobra_kit._plugins import attributed
from cobra_kit.data.rows import DataSource, Split
from cobra_kit.data.sources import named_sources, open_source
from cobra_kit.recipe import Recipe

IMAGES: Mapping[Split, int] = {"train": 320, "val": 80, "test": 160}
"""Images of a sample of drawn data."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Part of a data source, or all of it.

    Args:
        source: The part of the data that is here.
        times: Per split how many times as many images the recipe has.
        drawing_seconds: For each image of the recipe that is still to be drawn.
        to_draw: How many images are still to be drawn.
        label: What the sample is, for notes.
    """

    source: DataSource
    times: Mapping[str, float]
    drawing_seconds: float
    to_draw: int
    label: str


@contextmanager
def sample_of(recipe: Recipe) -> Iterator[Sample]:
    """Yields a sample of the recipe's data: made anew where the source can, else the data as they are.

    Raises:
        RecipeError: A setting of `data` is wrong.
        DataError: The data are missing or broken.
    """
    if not isinstance(recipe.data, list):  # several sources are opened whole: a part of each would change the mix
        (named,) = named_sources(recipe)
        settings, factory = named.settings(recipe), named.factory()
        with TemporaryDirectory() as folder:
            with attributed((named.extension,)):
                part = factory.sample(settings, IMAGES, Path(folder))
            if part is not None:
                yield Sample(part.source, part.times, part.seconds_per_image, part.to_make, part.label)
                return
    source = open_source(recipe)
    yield Sample(source, dict.fromkeys(IMAGES, 1.0), 0.0, 0, f"{len(source.rows):,} rows")
