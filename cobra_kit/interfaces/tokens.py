"""Images on their way in: prepared tensors, and visual tokens with their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from cobra_kit.errors import ArgumentError, kind_of


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
        if type(self.num_tokens) is not int:
            raise ArgumentError(f"num_tokens of an image is a whole number, not {kind_of(self.num_tokens)}")
        if self.num_tokens < 1:
            raise ArgumentError(f"an image has at least one token, not {self.num_tokens}")
        if self.grid is None:
            return
        grid: object = self.grid
        if not (isinstance(grid, tuple) and len(grid) == 2 and all(type(side) is int for side in grid)):
            raise ArgumentError(f"a grid is (rows, columns), not {grid!r}")
        if self.grid[0] * self.grid[1] != self.num_tokens:
            raise ArgumentError(f"a grid of {self.grid[0]} x {self.grid[1]} does not hold {self.num_tokens} tokens")


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """The sizes of a vision encoder, known without building it.

    Args:
        width: Channels of a visual token.
        parameters: Parameters of all its modules, tied ones counted once.
    """

    width: int
    parameters: int


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One image as tensors on the CPU, made without weights, by a picklable callable.

    Args:
        tensors: Named inputs of the encoder, each `[3 h w]`, such as `{"dino": ..., "siglip": ...}`.
        shape: The tokens that the encoder will return for it.
    """

    tensors: Mapping[str, Tensor]
    shape: TokenShape

    def __post_init__(self) -> None:
        tensors: object = self.tensors
        if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
            raise ArgumentError("the tensors of a prepared image are a mapping of names to tensors")
        _check_shape(self.shape, "a prepared image")


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

    def __post_init__(self) -> None:
        values: object = self.values
        if not isinstance(values, Tensor):
            raise ArgumentError(f"the values of visual tokens are a tensor [k n d], not {kind_of(values)}")


def _check_shape(shape: object, whose: str) -> None:
    if not isinstance(shape, TokenShape):
        raise ArgumentError(f"the shape of {whose} is a TokenShape, not {kind_of(shape)}")
