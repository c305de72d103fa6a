"""A stem of small convolutions in place of the one large patch convolution."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from cobra_kit_timm.config import VitSizes


class ConvStem(nn.Module):
    """Convolutions of stride 2 that halve the image until a pixel is a patch, then one of 1 x 1.

    Patches of 8 pixels cut edges at places that depend on where an object stands, and a small tower spends most of its
    training on that. Overlapping small convolutions do not (Xiao et al. 2021, arXiv 2106.14881, on larger towers). A
    token sees its patch and patch_size - 1 pixels above and to the left of it.

    Args:
        sizes: The sizes of the tower; `patch_size` is a power of two.
    """

    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.patch_size = sizes.patch_size
        channels = (3, *sizes.stem_channels)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], sizes.width, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Returns `[k width rows columns]` for images `[k 3 h w]`; pixels that fill no whole patch are dropped."""
        height, width = (size // self.patch_size * self.patch_size for size in images.shape[2:])
        tokens: Tensor = self.layers(images[:, :, :height, :width])
        return tokens
