"""Images as an encoder's input, and tokens as its output: the contract of any encoder, nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import PreparedImage, VisionEncoder
from cobra_kit.train.encoders.recipe import PretrainPlan

_CHUNK = 200


class Encode:
    """Calls an encoder on images of one size.

    Args:
        encoder: The encoder that is called.
        plan: The plan of the pretraining, with the encoder's component and settings.

    Attributes:
        grid: (rows, columns) of its tokens.

    Raises:
        ShapeError: The encoder's tokens lie on no grid, or it changes their number from image to image.
    """

    def __init__(self, encoder: VisionEncoder, plan: PretrainPlan) -> None:
        self._encoder = encoder
        self._prepare: Callable[[Any], PreparedImage] = type(encoder).preprocess(plan.config)
        shape = type(encoder).max_shape(plan.config)
        if shape.grid is None or shape.grid[0] * shape.grid[1] != shape.num_tokens:
            raise ShapeError(
                f"{plan.component.qualified} returns {shape}, and pretraining needs one token per cell of a grid",
                hint="Pretrain an encoder whose TokenShape has a grid.",
            )
        self.grid = shape.grid
        self._shape = shape

    def __call__(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Returns `[b n d]` of images `[b h w 3]`."""
        # By the encoder's own preprocessing, image by image: that is what the encoder will see later.
        prepared = [self._prepare(Image.fromarray(image_pixels)) for image_pixels in pixels]
        if any(image.shape != self._shape for image in prepared):
            raise ShapeError(f"pretraining needs {self._shape} for every picture")
        images = {key: torch.stack([image.tensors[key] for image in prepared]) for key in prepared[0].tensors}
        tokens: Tensor = self._encoder(images, (self._shape,) * len(prepared)).values
        return tokens

    @torch.no_grad()
    def all(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Returns `[n g d]` of many images, without gradients."""
        self._encoder.eval()
        tokens = [self(pixels[start : start + _CHUNK]) for start in range(0, len(pixels), _CHUNK)]
        self._encoder.train()
        return torch.cat(tokens)
