"""The number of a tower's parameters, from its settings alone: importing timm takes longer than torch does. No torch.

The counts are those of timm 1.0.31's `VisionTransformer` and `AttentionPoolLatent`; a test compares them with what
`Tower` builds.
"""

from __future__ import annotations

from itertools import pairwise

from cobra_kit_timm.config import VitSizes
from cobra_kit_timm.families import Family


def tower_parameters(family: Family, sizes: VitSizes, pixels: tuple[int, int], *, keep_unused: bool) -> int:
    """Returns the parameters of a tower; arguments as for `Tower`."""
    width, patch = sizes.width, sizes.patch_size
    norm = 2 * width
    attention = _linear(width, 3 * width) + _linear(width, width)
    hidden = int(width * sizes.mlp_ratio)
    mlp = _linear(width, hidden) + _linear(hidden, width)
    scales = 0 if family.layer_scale is None else 2 * width
    block = 2 * norm + attention + mlp + scales
    positions = (pixels[0] // patch) * (pixels[1] // patch) + family.prefix_tokens
    total = _stem(sizes) + positions * width + (sizes.depth - 1) * block
    if not keep_unused:
        return total
    latent_pooling = width + attention + norm + mlp if family.pooling_head else 0
    return total + block + norm + latent_pooling


def _stem(sizes: VitSizes) -> int:
    if sizes.stem == "patch":
        return _linear(3 * sizes.patch_size**2, sizes.width)
    channels = (3, *sizes.stem_channels)
    convolutions = sum(_linear(9 * before, after) for before, after in pairwise(channels))
    return convolutions + _linear(channels[-1], sizes.width)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs
