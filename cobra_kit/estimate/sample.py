"""A small part of a recipe's data, to measure rows and speed on, and how much more of it the recipe has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cobra_kit.data.rows import DataSource
from cobra_kit.data.sources import open_source, source_settings
from cobra_kit.recipe import Recipe

IMAGES = {"train": 320, "val": 80, "test": 160}
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
    """Yields a sample of the recipe's data: drawn anew where the recipe draws, else the data as they are.

    Raises:
        RecipeError: A setting of `data` is wrong.
        DataError: The data are missing or broken.
    """
    if recipe.data is not None and recipe.data.source == "scenes":
        with TemporaryDirectory() as folder:
            yield _drawn(recipe, Path(folder))
        return
    source = open_source(recipe)
    yield Sample(source, dict.fromkeys(IMAGES, 1.0), 0.0, 0, f"{len(source.rows):,} rows")


def _drawn(recipe: Recipe, folder: Path) -> Sample:
    from cobra_kit.data.scenes import scenes_dataset
    from cobra_kit.data.scenes.cache import cache_key
    from cobra_kit.data.scenes.params import SceneParams
    from cobra_kit.data.scenes.source import ScenesSource
    from cobra_kit.files import user_cache

    params = SceneParams.model_validate(source_settings(recipe).model_dump())
    sizes = {"train": params.train, "val": params.val, "test": params.test}
    taken = {split: min(most, sizes[split]) for split, most in IMAGES.items()}
    # Twice, the first time as small as can be: what starting the drawing costs is not paid per image.
    small = params.model_copy(update={"train": 1, "val": 0, "test": 0, "towers": 0})
    started = time.perf_counter()
    scenes_dataset(small, folder)
    between = time.perf_counter()
    world = scenes_dataset(params.model_copy(update={**taken, "towers": 0}), folder)
    ended = time.perf_counter()
    images = sum(taken.values())
    drawing = max(0.0, (ended - between) - (between - started)) / max(1, images)
    there = (user_cache() / "scenes" / cache_key(params)).is_dir()
    return Sample(
        source=ScenesSource(world),
        times={split: sizes[split] / taken[split] if taken[split] else 0.0 for split in sizes},
        drawing_seconds=drawing,
        to_draw=0 if there else sum(sizes.values()),
        label=f"{taken['train']:,} of {params.train:,} drawn pictures",
    )
