"""The encoders of one tower: SigLIP and DINOv2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from cobra_kit.interfaces import EncoderSizes, PretrainedFile, TokenShape, VisionEncoder, VisualTokens
from cobra_kit_timm.checks import images_of
from cobra_kit_timm.config import TowerConfig
from cobra_kit_timm.counting import tower_parameters
from cobra_kit_timm.families import DINOV2, SIGLIP, Family
from cobra_kit_timm.preprocess import TowerPixels
from cobra_kit_timm.pretrained import load_tower
from cobra_kit_timm.sources import one_file, pretrained_files
from cobra_kit_timm.tower import Tower


class OneTowerEncoder(VisionEncoder):
    """One tower of a family that the subclass names."""

    family: ClassVar[Family]

    def __init__(self, config: TowerConfig) -> None:
        super().__init__(config)
        self.config = config
        self.width = config.width
        self.tower = Tower(self.family, config, config.pixels, keep_unused=config.keep_unused)
        self._shape = self.max_shape(config)

    @classmethod
    def preprocess(cls, config: TowerConfig) -> TowerPixels:
        """Returns the callable that prepares one RGB image."""
        return TowerPixels((cls.family,), config.pixels, config.resize, cls.max_shape(config))

    @classmethod
    def max_shape(cls, config: TowerConfig) -> TokenShape:
        """Returns the token shape, the same for every image."""
        rows, columns = config.grid(config)
        return TokenShape(rows * columns, (rows, columns))

    @classmethod
    def sizes_follow_config(cls, config: TowerConfig) -> bool:
        """Returns True: weights are no part of what is built."""
        return True

    @classmethod
    def known_sizes(cls, config: TowerConfig) -> EncoderSizes:
        """Returns width and parameters, without importing timm."""
        parameters = tower_parameters(cls.family, config, config.pixels, keep_unused=config.keep_unused)
        return EncoderSizes(config.width, parameters)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills the tower with random values after timm's scheme."""
        self.tower.reset_parameters(generator)

    def load_pretrained(self) -> None:
        """Loads the file that `weights` names.

        Raises:
            WeightsError: The file cannot be had, is damaged, or does not fit.
        """
        path = one_file(self.config, self.family)
        if path is not None:
            load_tower(self.tower, path)

    @classmethod
    def pretrained_files(cls, config: TowerConfig) -> tuple[PretrainedFile, ...]:
        """Returns the files that `weights` names, without fetching them; of alternatives the preferred one."""
        return pretrained_files(config, cls.family)

    def unused_parameters(self) -> Mapping[str, int]:
        """Returns the parameters of the last block and of the pooling head, which never run."""
        return self.tower.unused_parameters()

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the tower's blocks that run."""
        return self.tower.blocks()

    def forward(self, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
        """Returns the penultimate block's patch tokens `[k n width]`.

        Raises:
            ShapeError: The images or shapes are not those of `preprocess`.
        """
        (pixels,) = images_of(images, (self.family,), shapes, self._shape)
        return VisualTokens(self.tower(pixels), shapes)


class SiglipEncoder(OneTowerEncoder):
    """SigLIP: no class token, pixels scaled to -1..1."""

    family = SIGLIP


class Dinov2Encoder(OneTowerEncoder):
    """DINOv2 with registers: class token and 4 registers are dropped from the output."""

    family = DINOV2
