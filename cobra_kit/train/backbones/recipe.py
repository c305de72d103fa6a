"""The form of a recipe that pretrains a backbone; it is read and checked like every other recipe. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from cobra_kit._plugins import Registry
from cobra_kit.data.scenes.params import DEFAULT_ABILITIES, Level, SceneParams
from cobra_kit.data.scenes.questions import Ability
from cobra_kit.errors import CobraError
from cobra_kit.recipe.pretraining import PretrainingRecipe, load_pretraining
from cobra_kit.recipe.schema import Part, Seed
from cobra_kit.recipe.sections import Section, StageSection, TrainSection

Texts = Annotated[int, Field(ge=0, le=1_000_000)]


class TextsSection(Section):
    """Described scenes of the embedded world's `towers` split, and those of `val` that probes are scored on."""

    passages: Texts = 0
    """Passages, each a caption and facts that follow from it; what `pretrain_text` learns."""
    conversations: Texts = 0
    """Conversations about a described scene; what `instruct_text` learns."""
    seed: int = Field(default=0, ge=0)
    """Seed of scenes, descriptions and questions."""
    probe: int = Field(default=400, ge=1, le=100_000)
    """Scenes of the `val` split that probes are scored on; no layout of theirs is in `towers`."""
    abilities: dict[Ability, Annotated[float, Field(ge=0)]] = Field(default_factory=lambda: dict(DEFAULT_ABILITIES))
    """Weight of each ability among the questions; one that is left out is not asked for."""
    max_level: dict[Ability, Level] = Field(default={})
    """Hardest level of the questions per ability; where one is not named, 3, but 2 of color, shape and presence."""
    boxes_per_row: int = Field(default=1, ge=0, le=8)
    """Box questions per conversation, at most."""

    def scenes(self, count: int) -> SceneParams:
        """Returns the parameters of so many scenes."""
        return SceneParams.checked(
            seed=self.seed,
            train=count,
            val=0,
            test=0,
            abilities=self.abilities,
            max_level=self.max_level,
            boxes_per_row=self.boxes_per_row,
        )

    @model_validator(mode="after")
    def _describes_scenes(self) -> Self:
        try:
            self.scenes(self.probe)
        except CobraError as error:
            raise ValueError(error.message) from error
        return self


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
    """A recipe that pretrains a backbone."""

    title: str = ""
    """What it makes, in one line."""
    description: str = ""
    """What it makes, in full."""
    backbone: Part
    """The backbone; its `weights` are what pretraining starts from."""
    data: TextsSection
    """The texts that it learns from and is probed on."""
    train: TextTrainSection
    """How long and how fast it learns."""

    @model_validator(mode="after")
    def _has_what_stages_read(self) -> Self:
        for stage, texts in (("pretrain_text", "passages"), ("instruct_text", "conversations")):
            if getattr(self.train, stage) is not None and not getattr(self.data, texts):
                raise ValueError(f"train.{stage} learns from {texts}, and data.{texts} is 0")
        return self


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
