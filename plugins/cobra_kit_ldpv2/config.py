"""Settings of the LDPv2 projectors. No torch here; both widths come from the parts around the projector."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt

from cobra_kit.config import ComponentConfig

Grid = Annotated[
    tuple[PositiveInt, PositiveInt] | None,
    Field(description="[rows, columns] after pooling; null: half of each side that comes in, rounded up."),
]


class PlainConfig(ComponentConfig):
    """Settings of the projector whose hidden layer is as wide as the backbone."""

    grid: Grid = None

    init: Literal["recipe", "authors"] = "recipe"
    """Where the random weights come from: `recipe`, its seed; `authors`, the width of the visual tokens as a seed
    whatever the recipe's, as in Cobra's code."""


class FusedConfig(PlainConfig):
    """Settings of the projector with a wide hidden layer."""

    expansion: PositiveInt = 4
    """Width of the hidden layer, as a multiple of the width of the visual tokens."""


class MobileVlmConfig(PlainConfig):
    """Settings of MobileVLM V2's projector, which pools to 12 x 12."""

    grid: Grid = (12, 12)

    @classmethod
    def tiny(cls) -> Self:
        """Returns a config whose grid fits the grids of tiny encoders."""
        return cls(grid=(2, 2))
