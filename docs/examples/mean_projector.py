"""A projector in one file: an image becomes a single token, the mean of its visual tokens, projected.

Try it:  cobra-kit --plugin docs/examples/mean_projector.py plugins show mean-projector/mean
"""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import nn

from cobra_kit.config import ComponentConfig
from cobra_kit.interfaces import Projector, TokenShape, VisualTokens
from cobra_kit.plugin import ProjectorSpec, hookimpl


class MeanConfig(ComponentConfig):
    """Settings of the mean projector."""

    bias: bool = Field(True, description="whether the linear layer has a bias")


class MeanProjector(Projector):
    """`[k n in_width]` -> `[k 1 out_width]`: the mean of an image's tokens, through one linear layer."""

    def __init__(self, config: MeanConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self.linear = nn.Linear(in_width, out_width, bias=config.bias)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills the linear layer uniformly within 1/sqrt(in_width), as torch's default does."""
        bound = 1 / math.sqrt(self.linear.in_features)
        with torch.no_grad():
            for parameter in self.linear.parameters():
                parameter.uniform_(-bound, bound, generator=generator)

    @classmethod
    def output_shape(cls, config: Any, shape: TokenShape) -> TokenShape:
        """Returns one token without a grid, whatever comes in."""
        return TokenShape(1)

    def forward(self, tokens: VisualTokens) -> VisualTokens:
        """Returns one token per image."""
        mean = tokens.values.mean(1, keepdim=True)
        return VisualTokens(self.linear(mean), (TokenShape(1),) * len(tokens.shapes))


@hookimpl
def cobra_projectors() -> list[ProjectorSpec]:
    """Declares the projector; nothing else is needed."""
    return [
        ProjectorSpec(
            name="mean",
            summary="one token per image: the mean of its visual tokens",
            target=f"{__name__}:MeanProjector",
            config=f"{__name__}:MeanConfig",
        )
    ]
