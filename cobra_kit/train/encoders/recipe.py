"""The form of a pretraining recipe; it is read and checked like every other recipe. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cobra_kit._plugins import Registry
from cobra_kit.recipe.pretraining import PretrainingRecipe, load_pretraining
from cobra_kit.recipe.schema import Part

Ratio = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


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
    """A pretraining recipe, without the sections that its task adds, such as `data` and `objective`."""

    title: str = ""
    """What it makes, in one line."""
    description: str = ""
    """What it makes, in full."""
    task: str | None = None
    """Which plugin's task it is, such as `plugin/name`; null: the only one that pretrains vision encoders."""
    vision_encoder: Part
    """The encoder; any one whose tokens lie on a fixed grid. Its `weights` are what pretraining starts from."""
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
