"""The form of a recipe that pretrains a backbone; it is read and checked like every other recipe. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cobra_kit._plugins import Registry
from cobra_kit.recipe.pretraining import PretrainingRecipe, load_pretraining
from cobra_kit.recipe.schema import Part, Seed
from cobra_kit.recipe.sections import Section, StageSection, TrainSection


class TextTrainSection(Section):
    """The stages of text, and the seed of weights and of the order of rows. Without a stage, there is only a probe."""

    pretrain_text: StageSection | None = None
    """It learns to go on with passages: a base model."""
    instruct_text: StageSection | None = None
    """It learns from conversations: a chat model."""
    seed: Seed = 0
    """Seed of weights and of the order of rows."""

    def stages(self) -> TrainSection | None:
        """Returns the stages as the training core takes them; None without any."""
        if self.pretrain_text is None and self.instruct_text is None:
            return None
        return TrainSection(pretrain_text=self.pretrain_text, instruct_text=self.instruct_text)


class BackboneRecipe(Section):
    """A recipe that pretrains a backbone, without the sections that its task adds, such as `data`."""

    title: str = ""
    """What it makes, in one line."""
    description: str = ""
    """What it makes, in full."""
    task: str | None = None
    """Which plugin's task it is, such as `plugin/name`; null: the only one that pretrains backbones."""
    backbone: Part
    """The backbone; its `weights` are what pretraining starts from."""
    train: TextTrainSection
    """How long and how fast it learns."""


BackbonePlan = PretrainingRecipe[BackboneRecipe]
"""A recipe whose backbone was found."""


def load_backbone_recipe(
    source: str | Path, *, overrides: Sequence[str] = (), registry: Registry | None = None
) -> BackbonePlan:
    """Returns what a recipe that pretrains a backbone asks for, its backbone found and its settings complete.

    Args:
        source: A path, or a packaged name such as `backbones/mamba_tiny_chat`.
        overrides: `a.b=c` settings, applied all at once.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: The recipe is missing or malformed; names every mistake with its line.
    """
    return load_pretraining(BackboneRecipe, "backbone", source, overrides=overrides, registry=registry)
