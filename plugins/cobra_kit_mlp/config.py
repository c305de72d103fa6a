"""Settings of the MLP projectors. No torch here; both widths come from the parts around the projector."""

from __future__ import annotations

from pydantic import PositiveInt

from cobra_kit.config import ComponentConfig


class LinearConfig(ComponentConfig):
    """The linear projector has no settings."""


class GeluConfig(ComponentConfig):
    """The two-layer projector has no settings."""


class FusedConfig(ComponentConfig):
    """Settings of the three-layer projector."""

    expansion: PositiveInt = 4
    """Width of the first layer, as a multiple of the width of the visual tokens."""
