"""LDPv2: an MLP per token, average pooling of the grid, a depthwise convolution that carries position.

The idea is MobileVLM V2's (arXiv 2402.03766); sizes and parameter names are those of Cobra's variants
(cobra/util/nn_utils.py at eb0294d; PAPER.md 1.3 and 1.4), so that its checkpoints load name by name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import Projector, TokenShape, VisualTokens
from cobra_kit_ldpv2.config import FusedConfig, PlainConfig


class PositionalConvolution(nn.Module):
    """`x + conv(x)`, one 3 x 3 filter per channel, zeros around: `[k d h w]` -> `[k d h w]`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.peg = nn.Sequential(nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width))

    def forward(self, grid: Tensor) -> Tensor:
        """Adds to each position of `[k d rows columns]` what its eight neighbours and itself say."""
        out: Tensor = grid + self.peg(grid)
        return out


class PlainLdpV2(Projector):
    """Linear to the backbone's width, GELU, linear; pooling; positional convolution."""

    def __init__(self, config: PlainConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self.output_shape(config, max_shape)  # a grid that does not fit is refused before weights are made
        self.config = config
        self._authors_seed = in_width if config.init == "authors" else None
        hidden = self.hidden_width(config, in_width, out_width)
        # The numbers are the layers' places in upstream's nn.Sequential: 1 is the GELU, 3 the pooling.
        self.projector = nn.ModuleDict(
            {
                "0": nn.Linear(in_width, hidden),
                "2": nn.Linear(hidden, out_width),
                "4": PositionalConvolution(out_width),
            }
        )

    @staticmethod
    def hidden_width(config: PlainConfig, in_width: int, out_width: int) -> int:
        """Returns the width between the two linear layers."""
        return out_width

    @classmethod
    def sizes_follow_config(cls, config: PlainConfig) -> bool:
        """Returns True: no file is read."""
        return True

    @classmethod
    def output_shape(cls, config: PlainConfig, shape: TokenShape) -> TokenShape:
        """Returns the pooled shape: `config.grid`, or half of each side, rounded up.

        Raises:
            ShapeError: The tokens have no grid, or a smaller one than `config.grid`.
        """
        if shape.grid is None:
            raise ShapeError(
                f"LDPv2 pools a grid of tokens; these {shape.num_tokens} have none (they come from a resampler)",
                hint="Take a projector that maps each token by itself, such as mlp/fused.",
            )
        rows, columns = config.grid or (_half(shape.grid[0]), _half(shape.grid[1]))
        if rows > shape.grid[0] or columns > shape.grid[1]:
            raise ShapeError(
                f"LDPv2 cannot pool {shape.grid[0]} x {shape.grid[1]} tokens to {rows} x {columns}, which are more",
                hint="Set the projector's `grid` to fewer rows and columns, or to null for half of each side.",
            )
        return TokenShape(rows * columns, (rows, columns))

    def forward(self, tokens: VisualTokens) -> VisualTokens:
        """Projects and pools k images of one shape: `[k h*w in_width]` -> `[k rows*columns out_width]`."""
        shape = tokens.shapes[0]
        pooled_shape = self.output_shape(self.config, shape)
        assert shape.grid is not None  # output_shape refused it
        assert pooled_shape.grid is not None
        features = self.projector["2"](F.gelu(self.projector["0"](tokens.values)))
        grid = features.transpose(1, 2).unflatten(2, shape.grid)
        pooled = self.projector["4"](F.adaptive_avg_pool2d(grid, pooled_shape.grid))
        return VisualTokens(pooled.flatten(2).transpose(1, 2), (pooled_shape,) * len(tokens.shapes))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws weights and biases as `nn.Linear` and `nn.Conv2d` do: uniform within 1 / sqrt(inputs of a unit).

        Both ask for `kaiming_uniform_(a=sqrt(5))`, whose bound sqrt(6 / (1 + 5) / inputs) is the same. Drawn in the
        order of construction, so that a generator seeded s gives what `torch.manual_seed(s)` gives upstream. With
        `init: authors` s is the width of the visual tokens (cobra/models/vlms/cobra.py at 4b81082; PAPER.md 1.3).
        """
        if self._authors_seed is not None:
            generator = torch.Generator().manual_seed(self._authors_seed)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                bound = layer.weight[0].numel() ** -0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                if layer.bias is not None:
                    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


class FusedLdpV2(PlainLdpV2):
    """As `PlainLdpV2`, with a hidden layer of `expansion` times the input width."""

    @staticmethod
    def hidden_width(config: PlainConfig, in_width: int, out_width: int) -> int:
        """Returns the width between the two linear layers."""
        assert isinstance(config, FusedConfig)
        return config.expansion * in_width


def _half(side: int) -> int:
    """Returns half of `side`, rounded up: 27 -> 14, as Cobra's fixed 14 x 14."""
    return -(-side // 2)
