"""The split that each scene belongs to: decided by a hash of the layout, for every seed alike.

So no layout of a test image is ever trained on, not even by weights that were made with another seed.
"""

from __future__ import annotations

import hashlib
from random import Random

from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.sampling import sample_scene
from cobra_kit_scenes.vocabulary import Split

_BUCKETS: tuple[tuple[int, Split], ...] = ((48, "train"), (78, "towers"), (88, "val"), (100, "test"))


def split_of(scene: Scene) -> Split:
    """Returns the split that owns the layout of the scene."""
    digest = hashlib.blake2b(scene.signature().encode(), digest_size=4).digest()
    bucket = int.from_bytes(digest, "big") % 100
    return next(split for limit, split in _BUCKETS if bucket < limit)


def image_rng(seed: int, split: Split, index: int, purpose: str = "scene") -> Random:
    """Returns the generator of one image: it depends on nothing but these values."""
    return Random(f"scenes/{seed}/{split}/{index}/{purpose}")


def scene_of(seed: int, split: Split, index: int) -> Scene:
    """Returns the scene of one image of a split: the first one drawn whose layout belongs to the split."""
    rng = image_rng(seed, split, index)
    while True:
        scene = sample_scene(rng)
        if split_of(scene) == split:
            return scene
