"""An image as the pixels that each tower expects. Picklable, and it needs neither timm nor weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cobra_kit.images import mean_colour, resize, to_tensor
from cobra_kit.interfaces import PreparedImage, TokenShape
from cobra_kit_timm.families import Family

if TYPE_CHECKING:
    from PIL.Image import Image

    from cobra_kit.images import ResizeRule


@dataclass(frozen=True, slots=True)
class TowerPixels:
    """Resizes an image once per tower and normalises it with that tower's own statistics.

    Args:
        families: The towers, in order.
        pixels: (height, width) of the input.
        resize_rule: `resize` of the config; letterbox bars take the mean colour of the tower.
        shape: The tokens that the encoder will return.
    """

    families: tuple[Family, ...]
    pixels: tuple[int, int]
    resize_rule: ResizeRule
    shape: TokenShape

    def __call__(self, image: Image) -> PreparedImage:
        """Returns one `[3 h w]` float32 tensor per tower, under its family's key.

        Args:
            image: An RGB image.
        """
        tensors = {}
        for family in self.families:
            fill = mean_colour(family.mean)
            rule, interpolation = self.resize_rule, family.interpolation
            resized = resize(image, self.pixels, rule, fill=fill, interpolation=interpolation)
            tensors[family.key] = to_tensor(resized, family.mean, family.std)
        return PreparedImage(tensors, self.shape)
