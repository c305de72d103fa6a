"""The sections of a recipe that pretrains a backbone on described scenes. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cobra_kit.errors import CobraError
from cobra_kit_scenes.params import DEFAULT_ABILITIES, Level, SceneParams
from cobra_kit_scenes.questions import Ability

Texts = Annotated[int, Field(ge=0, le=1_000_000)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class TextsSection(_Section):
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


class BackboneSections(_Section):
    """The sections of the recipe beside the backbone and `train`."""

    data: TextsSection
    """The texts that it learns from and is probed on."""

    @model_validator(mode="after")
    def _has_what_stages_read(self) -> Self:
        train: Any = getattr(self, "train", None)  # a section of the form that this one is mixed into
        for stage, texts in (("pretrain_text", "passages"), ("instruct_text", "conversations")):
            if getattr(train, stage, None) is not None and not getattr(self.data, texts):
                raise ValueError(f"train.{stage} learns from {texts}, and data.{texts} is 0")
        return self
