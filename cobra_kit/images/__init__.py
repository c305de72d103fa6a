"""Images to tensors: opening with honest errors, the three resize rules, normalisation.

The rules are those of PAPER.md 1.2 (`image_resize_strategy` of Cobra and Prismatic). Every encoder uses them through
this module, so that a vision ablation compares encoders and not resizing. torch is imported by `to_tensor` only.
"""

from __future__ import annotations

from cobra_kit.images.memory import memory_as_image_error
from cobra_kit.images.opening import ImageSource, open_image, read_image_file
from cobra_kit.images.pixels import mean_colour, to_tensor
from cobra_kit.images.resizing import Interpolation, ResizeRule, resize

__all__ = [
    "ImageSource",
    "Interpolation",
    "ResizeRule",
    "mean_colour",
    "memory_as_image_error",
    "open_image",
    "read_image_file",
    "resize",
    "to_tensor",
]
