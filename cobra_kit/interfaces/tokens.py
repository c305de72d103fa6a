"""Images on their way in: prepared tensors, and visual tokens with their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenShape:
    """The visual tokens of ONE image, known on the host.

    Args:
        num_tokens: Tokens of the image.
        grid: (rows, columns), with rows * columns == num_tokens and row-major token order; None after a resampler.
    """

    num_tokens: int
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.num_tokens < 1:
            raise ValueError(f"an image has at least one token, not {self.num_tokens}")
        if self.grid is not None and self.grid[0] * self.grid[1] != self.num_tokens:
            raise ValueError(f"a grid of {self.grid[0]} x {self.grid[1]} does not hold {self.num_tokens} tokens")


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One image as tensors on the CPU, made without weights, by a picklable callable.

    Args:
        tensors: Named inputs of the encoder, each `[3 h w]`, such as `{"dino": ..., "siglip": ...}`.
        shape: The tokens that the encoder will return for it.
    """

    tensors: Mapping[str, Tensor]
    shape: TokenShape


@dataclass(frozen=True, slots=True)
class VisualTokens:
    """Visual tokens of k images.

    The core calls encoders and projectors with images of one `TokenShape` at a time.

    Args:
        values: `[k n d]`; row i holds `shapes[i].num_tokens` real tokens, padded on the right.
        shapes: k of them, on the host, so that nobody syncs with the device to learn a length.
    """

    values: Tensor
    shapes: tuple[TokenShape, ...]
