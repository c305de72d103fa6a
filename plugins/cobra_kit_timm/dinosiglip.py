"""Two towers on one image, the paper's encoder: DINOv2 first, then SigLIP, channels concatenated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import EncoderSizes, PretrainedFile, TokenShape, VisionEncoder, VisualTokens
from cobra_kit_timm.checks import images_of
from cobra_kit_timm.config import TwoTowersConfig
from cobra_kit_timm.counting import tower_parameters
from cobra_kit_timm.families import DINOV2, SIGLIP
from cobra_kit_timm.preprocess import TowerPixels
from cobra_kit_timm.pretrained import load_tower
from cobra_kit_timm.sources import pretrained_files, two_files
from cobra_kit_timm.tower import Tower

_FAMILIES = (DINOV2, SIGLIP)  # the order of the channels, PAPER.md 1.1 (paper, equation 5)


class DinoSiglipEncoder(VisionEncoder):
    """DINOv2 and SigLIP, read at their penultimate blocks: `[k n width_dinov2 + width_siglip]`."""

    def __init__(self, config: TwoTowersConfig) -> None:
        super().__init__(config)
        self.config = config
        self._shape = self.max_shape(config)
        self.width = config.dinov2.width + config.siglip.width
        self.dinov2 = Tower(DINOV2, config.dinov2, config.pixels, keep_unused=config.keep_unused)
        self.siglip = Tower(SIGLIP, config.siglip, config.pixels, keep_unused=config.keep_unused)

    @classmethod
    def preprocess(cls, config: TwoTowersConfig) -> TowerPixels:
        """Returns the callable that prepares one RGB image, once per tower."""
        return TowerPixels(_FAMILIES, config.pixels, config.resize, cls.max_shape(config))

    @classmethod
    def max_shape(cls, config: TwoTowersConfig) -> TokenShape:
        """Returns the token shape, the same for every image.

        Raises:
            ShapeError: The towers' grids differ, so their tokens cannot be concatenated.
        """
        dinov2, siglip = config.grid(config.dinov2), config.grid(config.siglip)
        if dinov2 != siglip:
            height, width = config.pixels
            raise ShapeError(
                f"the towers' grids differ on {height} x {width} pixels: dinov2 {_grid(dinov2)} "
                f"(patch {config.dinov2.patch_size}), siglip {_grid(siglip)} (patch {config.siglip.patch_size})",
                hint="Give both towers one patch_size, or an image_size that both cut into the same grid.",
            )
        return TokenShape(dinov2[0] * dinov2[1], dinov2)

    @classmethod
    def sizes_follow_config(cls, config: TwoTowersConfig) -> bool:
        """Returns True: weights are no part of what is built."""
        return True

    @classmethod
    def known_sizes(cls, config: TwoTowersConfig) -> EncoderSizes:
        """Returns width and parameters of both towers, without importing timm."""
        towers = zip(_FAMILIES, (config.dinov2, config.siglip), strict=True)
        parameters = sum(
            tower_parameters(family, sizes, config.pixels, keep_unused=config.keep_unused) for family, sizes in towers
        )
        return EncoderSizes(config.dinov2.width + config.siglip.width, parameters)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills both towers with random values after timm's scheme."""
        self.dinov2.reset_parameters(generator)
        self.siglip.reset_parameters(generator)

    def load_pretrained(self) -> None:
        """Loads the two files that `weights` names.

        Raises:
            WeightsError: A file cannot be had, is damaged, or does not fit.
        """
        files = two_files(self.config)
        if files is not None:
            load_tower(self.dinov2, files[0])
            load_tower(self.siglip, files[1])

    @classmethod
    def pretrained_files(cls, config: TwoTowersConfig) -> tuple[PretrainedFile, ...]:
        """Returns the files that `weights` names, without fetching them; of alternatives the preferred one."""
        return pretrained_files(config, *_FAMILIES)

    def unused_parameters(self) -> Mapping[str, int]:
        """Returns the parameters of both last blocks and of SigLIP's pooling head, which never run."""
        return Counter(self.dinov2.unused_parameters()) + Counter(self.siglip.unused_parameters())

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the blocks of both towers that run."""
        return [*self.dinov2.blocks(), *self.siglip.blocks()]

    def forward(self, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
        """Returns `[k n width]`, DINOv2's channels first.

        Raises:
            ShapeError: The images or shapes are not those of `preprocess`.
        """
        dino, siglip = images_of(images, _FAMILIES, shapes, self._shape)
        return VisualTokens(torch.cat([self.dinov2(dino), self.siglip(siglip)], dim=-1), shapes)


def _grid(grid: tuple[int, int]) -> str:
    return f"{grid[0]} x {grid[1]}"
