"""An image as the pixels that a tower expects. Picklable, and it needs neither open_clip nor weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cobra_kit.images import mean_colour, resize, to_tensor
from cobra_kit.interfaces import PreparedImage, TokenShape

if TYPE_CHECKING:
    from PIL.Image import Image

    from cobra_kit.images import Interpolation, ResizeRule

KEY = "openclip"
"""Name of the prepared tensor."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Resizes an image and normalises it with a model's own statistics.

    Args:
        pixels: (height, width) of the input.
        resize_rule: One of the three; letterbox bars take the mean colour.
        mean: Mean of red, green and blue, pixels in 0..1.
        std: Standard deviation of red, green and blue.
        interpolation: The filter that resizes.
        shape: The tokens that the encoder will return.
    """

    pixels: tuple[int, int]
    resize_rule: ResizeRule
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation
    shape: TokenShape

    def __call__(self, image: Image) -> PreparedImage:
        """Returns one `[3 h w]` float32 tensor.

        Args:
            image: An RGB image.
        """
        fill = mean_colour(self.mean)
        resized = resize(image, self.pixels, self.resize_rule, fill=fill, interpolation=self.interpolation)
        return PreparedImage({KEY: to_tensor(resized, self.mean, self.std)}, self.shape)
