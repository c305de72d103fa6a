"""An RGB image as normalised numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cobra_kit.errors import ArgumentError, ImageError

if TYPE_CHECKING:
    from torch import Tensor


def mean_colour(mean: Sequence[float]) -> tuple[int, int, int]:
    """Returns the 8-bit colour of a normalisation's mean, `int(mean * 255)`: about 0 after normalisation."""
    red, green, blue = (int(value * 255) for value in mean)
    return red, green, blue


def to_tensor(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Returns `(pixels / 255 - mean) / std` per channel, `[3 h w]` float32 on the CPU.

    Args:
        image: An RGB image.
        mean: Mean of each channel, in 0..1.
        std: Standard deviation of each channel, above 0.

    Raises:
        ImageError: The image is not RGB.
        ArgumentError: `mean` or `std` does not have three values, or a `std` is not above 0.
    """
    import torch

    if image.mode != "RGB":
        raise ImageError(f"expected an RGB image, not mode {image.mode}", hint="Open it with open_image.")
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ArgumentError(f"mean and std need three values each, std above 0: {mean}, {std}")
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
    centre = torch.tensor(mean, dtype=torch.float32).view(3, 1, 1)
    scale = torch.tensor(std, dtype=torch.float32).view(3, 1, 1)
    return pixels.sub_(centre).div_(scale)
