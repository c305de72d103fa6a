"""The identity of a training: two that agree on it end with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cobra_kit.plugin import KINDS
from cobra_kit.recipe import ResolvedPart
from cobra_kit.recipe.sections import TrainSection
from cobra_kit.train.stages import STAGES


def training_identity(
    components: Mapping[Any, str], parts: Mapping[Any, ResolvedPart], data: str, section: TrainSection, seed: int
) -> dict[str, Any]:
    """Returns what a checkpoint must agree on to be gone on with, JSON-able.

    Parts that no stage involves are left out: a text stage is the same whatever the projector.

    Args:
        components: Qualified name per kind.
        parts: The resolved parts; empty for a model that was built by hand.
        data: Fingerprint of the data source.
        section: The stages of training.
        seed: Seed of weights, order and random layers.
    """
    involved = frozenset().union(*(STAGES[name].involves for name in section.stages()))
    kinds = [kind for kind in KINDS if kind in involved]
    return {
        "components": {kind: components[kind] for kind in kinds if kind in components},
        "model": {kind: parts[kind].plain() for kind in kinds if kind in parts},
        "data": data,
        "train": {
            # What may be lost changes nothing of what is learnt.
            name: stage.model_dump(mode="json", exclude_none=True, exclude={"max_cut_share"})
            for name, stage in section.stages().items()
        },
        "seed": seed,
    }
