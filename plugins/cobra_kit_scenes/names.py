"""Names of images: one flat folder, the split in the name, numbers as wide as COCO's."""

from __future__ import annotations

import re

from cobra_kit.errors import CobraError
from cobra_kit_scenes.vocabulary import SPLITS, Split

_NAME = re.compile(rf"scenes_({'|'.join(SPLITS)})_(\d{{12}})(?:\.png)?")


def image_stem(split: Split, index: int) -> str:
    """Returns such as "scenes_test_000000000012"."""
    return f"scenes_{split}_{index:012d}"


def image_name(split: Split, index: int) -> str:
    """Returns the file name of an image."""
    return f"{image_stem(split, index)}.png"


def parse_name(name: str) -> tuple[Split, int]:
    """Returns split and index of an image's name or stem.

    Raises:
        CobraError: The name is not one of this world.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise CobraError(f"{name!r} is not a picture of scenes", hint="Names look like scenes_test_000000000012.png")
    split = next(item for item in SPLITS if item == match[1])
    return split, int(match[2])
