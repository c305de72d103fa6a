"""Projectors that map each visual token by itself: `[k n in_width]` -> `[k n out_width]`.

Layers and parameter names are those of Cobra (cobra/util/nn_utils.py at eb0294d; PAPER.md 1.3), so that its
checkpoints load name by name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cobra_kit.interfaces import Projector, TokenShape, VisualTokens
from cobra_kit_mlp.config import FusedConfig, GeluConfig, LinearConfig


class _TokenwiseProjector(Projector):
    """The base of the three: the same layers for every token, so any shape goes in and the same comes out."""

    projector: nn.Module

    def __init__(self, config: LinearConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self._authors_seed = in_width if config.init == "authors" else None

    @classmethod
    def sizes_follow_config(cls, config: LinearConfig) -> bool:
        """Returns True: no file is read."""
        return True

    @classmethod
    def output_shape(cls, config: Any, shape: TokenShape) -> TokenShape:
        """Returns `shape`: tokens keep their number and their grid."""
        return shape

    def forward(self, tokens: VisualTokens) -> VisualTokens:
        """Projects `[k n in_width]` -> `[k n out_width]`."""
        values: Tensor = self.projector(tokens.values)
        return VisualTokens(values, tokens.shapes)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws weights and biases as `nn.Linear` does: uniform within 1 / sqrt(inputs).

        `nn.Linear` asks for `kaiming_uniform_(a=sqrt(5))`, whose bound sqrt(6 / (1 + 5) / inputs) is the same. Drawn
        in the order of construction, so that a generator seeded s gives what `torch.manual_seed(s)` gives upstream.
        With `init: authors` s is the width of the visual tokens (cobra/models/vlms/cobra.py at 4b81082; PAPER.md 1.3).
        """
        if self._authors_seed is not None:
            generator = torch.Generator().manual_seed(self._authors_seed)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


class LinearProjector(_TokenwiseProjector):
    """One linear layer."""

    def __init__(self, config: LinearConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self.projector = nn.Linear(in_width, out_width)


class GeluProjector(_TokenwiseProjector):
    """Linear to the backbone's width, GELU, linear."""

    def __init__(self, config: GeluConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self.projector = nn.Sequential(nn.Linear(in_width, out_width), nn.GELU(), nn.Linear(out_width, out_width))


class FusedProjector(_TokenwiseProjector):
    """Linear to `expansion` times the input width, GELU, linear to the backbone's width, GELU, linear."""

    def __init__(self, config: FusedConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        hidden = config.expansion * in_width
        self.projector = nn.Sequential(
            nn.Linear(in_width, hidden),
            nn.GELU(),
            nn.Linear(hidden, out_width),
            nn.GELU(),
            nn.Linear(out_width, out_width),
        )
