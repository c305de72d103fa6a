"""The pretraining of vision encoders on the world, as a task of `cobra-kit pretrain`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from cobra_kit.events import Message
from cobra_kit.interfaces import EncoderPretraining, Probe
from cobra_kit_scenes import SceneDataset, SceneParams, Split, caption, scenes_dataset
from cobra_kit_scenes.encoders.contrastive import Contrastive
from cobra_kit_scenes.encoders.dense import Dense
from cobra_kit_scenes.encoders.probe import probe_tokens
from cobra_kit_scenes.encoders.scene_instances import SceneInstances, things_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class ScenesEncoderPretraining(EncoderPretraining):
    """The world's `towers` split, one of two objectives, and linear probes on `val`."""

    def images(self) -> NDArray[np.uint8]:
        """Returns the images to learn from."""
        return self._world.pixels("towers")

    def objective(self, width: int, grid: tuple[int, int]) -> Contrastive | Dense:
        """Returns heads and losses over an encoder's tokens."""
        section, things = self.recipe.objective, self._towers(grid)
        if section.kind == "dense":
            return Dense(width, grid, things, self.images(), section.weights)
        rng = Random(f"{self.recipe.data.seed}/captions")
        captions = [caption(scene, rng) for scene in self._world.scenes("towers")]
        return Contrastive(width, things, captions, section.weights)

    def probe(self, encode: Callable[[NDArray[np.uint8]], Tensor], grid: tuple[int, int]) -> list[Probe]:
        """Returns what linear probes read from the tokens."""
        count, things = self.recipe.data.probe_fit, self._towers(grid)
        fit = SceneInstances(**{field.name: getattr(things, field.name)[:count] for field in fields(things)})
        return probe_tokens(
            (encode(self.images()[:count]), fit),
            (encode(self._world.pixels("val")), self._things("val", grid)),
        )

    @cached_property
    def _world(self) -> SceneDataset:
        data = self.recipe.data
        params = SceneParams.checked(seed=data.seed, train=0, val=data.probe_test, test=0, towers=data.images)
        return scenes_dataset(params, self.cache_dir, self._counted("drawing pictures"))

    def _towers(self, grid: tuple[int, int]) -> SceneInstances:
        if self._labelled is None or self._labelled[0] != grid:
            self._labelled = (grid, self._things("towers", grid))
        return self._labelled[1]

    _labelled: tuple[tuple[int, int], SceneInstances] | None = None

    def _things(self, split: Split, grid: tuple[int, int]) -> SceneInstances:
        return things_of(self._world.scenes(split), grid, self._counted("labelling pictures"))

    def _counted(self, text: str) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if done % 10_000 == 0:
                self.report(Message(text=f"{text}: {done:,} of {total:,}"))

        return progress
