"""Dense pretraining: how an image looks, token by token, without any names.

Every token answers for itself: which of its patch's pixels belong to a thing (`mask`), and, where it shows a thing, the
box of the whole thing (`box`), the thing's silhouette cut out of that box (`silhouette`) and the colour that it has
(`color`); `pixels` rebuilds the patch. No term knows the name of a shape, a colour or a letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cobra_kit_scenes.encoders.scene_instances import SceneInstances
from cobra_kit_scenes.vocabulary import IMAGE

SILHOUETTE = 12
"""Width and height of a silhouette; every thing is stretched to it."""


class Dense(nn.Module):
    """The heads and losses of dense pretraining over an encoder's tokens.

    Args:
        width: Channels of the encoder's tokens.
        grid: (rows, columns) of tokens.
        things: What stands in the training images.
        images: `[n 64 64 3]` uint8.
        weights: Weight per term.
    """

    terms = ("mask", "box", "silhouette", "color", "pixels")

    def __init__(
        self,
        width: int,
        grid: tuple[int, int],
        things: SceneInstances,
        images: NDArray[np.uint8],
        weights: Mapping[str, float],
    ) -> None:
        super().__init__()
        self._things, self._images, self._weights = things, images, dict(weights)
        self._grid, self._patch = grid, (IMAGE // grid[0], IMAGE // grid[1])
        pixels = self._patch[0] * self._patch[1]
        # In the order in which `forward` splits the channels.
        self._sizes = (pixels, 3 * pixels, 4, 3, SILHOUETTE * SILHOUETTE)
        self.norm = nn.LayerNorm(width)
        self.looks = nn.Linear(width, sum(self._sizes))

    def forward(self, tokens: Tensor, rows: NDArray[np.int64], rng: Random) -> dict[str, Tensor]:
        """Returns the weighted loss of each term.

        Args:
            tokens: `[b n d]`, the encoder's.
            rows: `[b]`: which images these are.
            rng: Unused; nothing is chosen at random here.
        """
        del rng
        mask, pixels, box, color, silhouette = self.looks(self.norm(tokens)).split(self._sizes, dim=-1)
        things = self._things
        instances, colors = things.instances[rows], self._images[rows].astype(np.float32) / 127.5 - 1
        shown = things.regions[rows]
        batch, place = np.nonzero(shown >= 0)
        thing = shown[batch, place].astype(np.int64)
        where = (torch.from_numpy(batch), torch.from_numpy(place))
        boxes = things.boxes[rows]
        cut, means = _cut(instances, colors, boxes, batch, thing)
        out = {
            "mask": F.binary_cross_entropy_with_logits(mask, self._patches((instances > 0)[..., None])),
            "pixels": F.mse_loss(pixels, self._patches(colors)),
            "box": F.l1_loss(box[where], torch.from_numpy(boxes[batch, thing])),
            "color": F.mse_loss(color[where], torch.from_numpy(means)),
            "silhouette": F.binary_cross_entropy_with_logits(silhouette[where], torch.from_numpy(cut)),
        }
        return {term: self._weights.get(term, 0.0) * loss for term, loss in out.items()}

    def _patches(self, images: NDArray[np.generic]) -> Tensor:
        """Returns `[b n pixels * channels]` float32 of images `[b 64 64 channels]`."""
        (rows, columns), (height, width) = self._grid, self._patch
        cut = images[:, : rows * height, : columns * width].reshape(-1, rows, height, columns, width, images.shape[-1])
        flat = cut.swapaxes(2, 3).reshape(len(images), rows * columns, -1)
        return torch.from_numpy(flat.astype(np.float32))


def _cut(
    instances: NDArray[np.uint8],
    colors: NDArray[np.float32],
    boxes: NDArray[np.float32],
    batch: NDArray[np.int64],
    thing: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns for each of r tokens its thing's silhouette `[r 144]` and mean colour `[r 3]`."""
    # Several tokens show the same thing: each thing is cut out once, and `inverse` gives it to all of them.
    pairs, inverse = np.unique(np.stack([batch, thing]), axis=1, return_inverse=True)
    image, which = pairs
    x0, y0, x1, y1 = (boxes[image, which] * IMAGE).T
    steps = (np.arange(SILHOUETTE) + 0.5) / SILHOUETTE
    columns = (x0[:, None] + steps * (x1 - x0)[:, None]).astype(np.int64).clip(0, IMAGE - 1)
    lines = (y0[:, None] + steps * (y1 - y0)[:, None]).astype(np.int64).clip(0, IMAGE - 1)
    place = (image[:, None, None], lines[:, :, None], columns[:, None, :])
    own = instances[place] == which[:, None, None] + 1
    total = (colors[place] * own[..., None]).sum((1, 2))
    means = total / own.sum((1, 2)).clip(min=1)[:, None]
    # NumPy 2.0.0 alone gives it two axes where `axis` is named.
    inverse = inverse.ravel()
    return own.reshape(len(which), -1).astype(np.float32)[inverse], means.astype(np.float32)[inverse]
