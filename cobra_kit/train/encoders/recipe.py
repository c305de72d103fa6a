"""The form of a pretraining recipe; it is read and checked like every other recipe. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cobra_kit._plugins import Registry
from cobra_kit.recipe.pretraining import PretrainingRecipe, load_pretraining
from cobra_kit.recipe.schema import Part

TERMS = {
    "contrastive": ("caption", "phrase", "region", "count"),
    "dense": ("mask", "box", "silhouette", "color", "pixels"),
}
"""The terms of each objective's loss; `contrastive.py` and `dense.py` say what they are."""

Ratio = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class TowersSection(_Section):
    """Images of the embedded world's `towers` split, and those that probes are scored on."""

    images: int = Field(ge=1, le=1_000_000)
    """Images to learn from."""
    seed: int = Field(ge=0)
    """Seed of the images."""
    probe_fit: int = Field(default=4_000, ge=1)
    """How many of them linear probes are fitted on."""
    probe_test: int = Field(default=2_000, ge=1)
    """Images of the `val` split that probes are scored on; no layout of theirs is in `towers`."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.probe_fit > self.images:
            raise ValueError(f"probe_fit {self.probe_fit} is more than there are pictures, {self.images}")
        return self


class ObjectiveSection(_Section):
    """The objective of an encoder, its loss terms and their weights."""

    kind: Literal["contrastive", "dense"]
    """`contrastive`: what images say. `dense`: how they look."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """Weight of each term of the loss; a term that is left out is 0."""

    @model_validator(mode="after")
    def _known_terms(self) -> Self:
        known = TERMS[self.kind]
        unknown = [term for term in self.weights if term not in known]
        if unknown:
            raise ValueError(f"a {self.kind} objective has no term {', '.join(unknown)}; it has {', '.join(known)}")
        if not any(self.weights.values()):
            raise ValueError("at least one term needs a weight above 0")
        return self


class PretrainSection(_Section):
    """The length and the speed of pretraining."""

    steps: int = Field(ge=0)
    """Optimiser steps; 0 only probes."""
    batch_size: int = Field(ge=2)
    """Images per step."""
    learning_rate: float = Field(gt=0)
    """The highest learning rate of AdamW."""
    weight_decay: float = Field(default=0.05, ge=0)
    """For tensors of more than one dimension that are no biases."""
    betas: tuple[Ratio, Ratio] = (0.9, 0.98)
    """AdamW's decay rates of the first and second moment."""
    warmup_ratio: Ratio = 0.03
    """Share of the steps in which the learning rate rises."""
    final_lr_ratio: Ratio = 0.02
    """Share of the learning rate at the end of the cosine."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Longer gradients are shortened to this."""
    seed: int = Field(default=0, ge=0)
    """Seed of weights, order of images and choice of phrases."""


class PretrainRecipe(_Section):
    """A pretraining recipe."""

    title: str = ""
    """What it makes, in one line."""
    description: str = ""
    """What it makes, in full."""
    vision_encoder: Part
    """The encoder; any one whose tokens lie on a fixed grid. Its `weights` are what pretraining starts from."""
    data: TowersSection
    """The images that it learns from and is probed on."""
    objective: ObjectiveSection
    """What the encoder is to learn."""
    train: PretrainSection
    """How long and how fast it learns."""


PretrainPlan = PretrainingRecipe[PretrainRecipe]
"""A recipe whose encoder was found."""


def load_pretrain_recipe(
    source: str | Path, *, overrides: Sequence[str] = (), registry: Registry | None = None
) -> PretrainPlan:
    """Returns what a pretraining recipe asks for, its encoder found and its settings complete.

    Args:
        source: A path, or a packaged name such as `towers/siglip_tiny`.
        overrides: `a.b=c` settings, applied all at once.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: The recipe is missing or malformed; names every mistake with its line.
    """
    return load_pretraining(PretrainRecipe, "vision_encoder", source, overrides=overrides, registry=registry)
