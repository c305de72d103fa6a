"""Settings of the MLP projectors. No torch here; both widths come from the parts around the projector."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from cobra_kit.config import ComponentConfig


class LinearConfig(ComponentConfig):
    """Settings of the linear projector."""

    init: Literal["recipe", "authors"] = "recipe"
    """Where the random weights come from: `recipe`, its seed; `authors`, the width of the visual tokens as a seed
    whatever the recipe's, as in Cobra's code."""


class GeluConfig(LinearConfig):
    """Settings of the two-layer projector."""


class FusedConfig(LinearConfig):
    """Settings of the three-layer projector."""

    expansion: PositiveInt = 4
    """Width of the first layer, as a multiple of the width of the visual tokens."""
