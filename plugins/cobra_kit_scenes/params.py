"""The choices that a user has about the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from cobra_kit.errors import CobraError
from cobra_kit_scenes.benchmark_prompts import Style
from cobra_kit_scenes.held_out_levels import check_levels, parsed_level, parsed_levels
from cobra_kit_scenes.questions import ABILITIES, HARDEST_UNASKED, MAX_LEVEL, Ability
from cobra_kit_scenes.vocabulary import SPLITS, Split

_LIMIT = 1_000_000

Level = Annotated[int, Field(ge=1, le=MAX_LEVEL)]

DEFAULT_ABILITIES: dict[Ability, float] = {
    "color": 1.5,
    "shape": 1.5,
    "count": 1.0,
    "presence": 2.0,
    "spatial": 1.5,
    "reading": 1.0,
    "box": 0.5,
}


class SceneParams(BaseModel):
    """Parameters of one set of images and questions. The same parameters give the same files."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    seed: int = Field(default=0, ge=0)
    """Seed of every image and every question."""

    train: int = Field(default=12_000, ge=0, le=_LIMIT)
    """Training images, one LLaVA row each."""

    val: int = Field(default=600, ge=0, le=_LIMIT)
    """Images for selection."""

    test: int = Field(default=1_000, ge=0, le=_LIMIT)
    """Images that are scored once."""

    towers: int = Field(default=0, ge=0, le=_LIMIT)
    """Images for pretraining small encoders, with scene labels and no questions."""

    turns: int = Field(default=8, ge=1, le=32)
    """Questions per training row, at most; an image may have fewer to ask."""

    turns_per_row: int = Field(default=32, ge=1, le=32)
    """Questions per row when training; an image with more to ask gives several rows."""

    boxes_per_row: int = Field(default=1, ge=0, le=8)
    """Box questions per training row, at most: their answers are long."""

    abilities: Mapping[Ability, float] = Field(default_factory=lambda: dict(DEFAULT_ABILITIES))
    """Weight of each ability among the training questions; one that is left out is not trained."""

    max_level: Mapping[Ability, Level] = Field(default_factory=dict)
    """Hardest level of the training questions per ability, or one number for all of them. Where one is not named, 3,
    but 2 of color, shape and presence, whose level 3 asks what is at a place. Held-out questions have those of
    `held_out_levels`."""

    held_out_levels: Mapping[Ability, Mapping[Annotated[int, BeforeValidator(parsed_level)], float]] | None = None
    """Mix of levels among the held-out questions (val and test) per ability: `{spatial: {1: 2, 2: 1}}` asks two of
    level 1 for one of level 2, and none of level 3. A number is the hardest level, all up to it asked alike; one number
    does so for all abilities. Of an ability that is not named, all levels are asked but that of places, as its images
    allow. A level of few images holds the others back, so there are fewer questions."""

    prompts: Style = "short"
    """Wording of prompts in training rows; evaluation must use the same."""

    disagreement: float = Field(default=0.1, ge=0, le=1)
    """Share of open held-out questions on which the ten annotators are split (`annotators.py`)."""

    @field_validator("max_level", mode="before")
    @classmethod
    def _per_ability(cls, value: Any) -> Any:
        return dict.fromkeys(ABILITIES, value) if isinstance(value, int) else value

    @field_validator("held_out_levels", mode="before")
    @classmethod
    def _levels_per_ability(cls, value: Any) -> Any:
        return parsed_levels(value)

    @field_validator("held_out_levels")
    @classmethod
    def _askable(
        cls, value: Mapping[Ability, Mapping[int, float]] | None
    ) -> Mapping[Ability, Mapping[int, float]] | None:
        check_levels(value or {})
        return value

    @field_validator("abilities")
    @classmethod
    def _weights(cls, value: Mapping[Ability, float]) -> Mapping[Ability, float]:
        if any(weight < 0 or weight == float("inf") or weight != weight for weight in value.values()):
            raise ValueError("weights are finite numbers, 0 or more")
        if not sum(value.values()):
            raise ValueError("at least one ability needs a weight above 0")
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not any(self.size(split) for split in SPLITS):
            raise ValueError(f"no split has a picture: {', '.join(SPLITS)} are all 0")
        return self

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Returns the parameters.

        Raises:
            CobraError: A value is out of range or a name is unknown; names each one.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            lines = [_explain(item["loc"], item["msg"], item["input"]) for item in error.errors()]
            raise CobraError(
                "; ".join(lines), where="scenes", hint=f"Parameters: {', '.join(cls.model_fields)}"
            ) from None

    def size(self, split: Split) -> int:
        """Returns the number of images of a split."""
        return int(getattr(self, split))

    def hardest(self, ability: Ability) -> int:
        """Returns the hardest level of an ability's training questions."""
        return self.max_level.get(ability, HARDEST_UNASKED[ability])


def _explain(place: tuple[int | str, ...], message: str, value: object) -> str:
    if not place:
        return message.removeprefix("Value error, ")
    return f"{'.'.join(str(part) for part in place)}: {message.removeprefix('Value error, ')} (got {value!r})"
