"""The control: the same model and questions, wrong images. What is answered right then was never seen."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from cobra_kit._moved import moved_name
from cobra_kit.arguments import texts
from cobra_kit.errors import CobraError

CONTROLS = ("shuffled-images",)
"""The controls by name."""


def shuffled_images(images: Iterable[str], seed: int) -> dict[str, str]:
    """Returns per image another one to show; every image is shown for exactly one other, none for itself.

    One random cycle through all of them (Sattolo, "An algorithm to generate a random cyclic permutation", 1986), so
    that questions about one image stay together and the bootstrap may cluster by image as before.

    Args:
        images: Names; repeated ones count once.
        seed: Seed of the cycle.

    Raises:
        CobraError: There is one image only.
    """
    names = list(dict.fromkeys(texts(images, "images", example="['a.png', 'b.png']")))
    if len(names) == 1:
        raise CobraError(
            "one picture cannot be swapped with another",
            where=names[0],
            hint="The control needs a benchmark with at least two pictures.",
        )
    order = list(names)
    generator = random.Random(seed)
    for last in range(len(order) - 1, 0, -1):
        # Below `last`, and never `last` itself as in a plain shuffle: an image might keep its place.
        other = generator.randrange(last)
        order[last], order[other] = order[other], order[last]
    return dict(zip(names, order, strict=True))


def __getattr__(name: str) -> Any:
    return moved_name(__name__, name)
