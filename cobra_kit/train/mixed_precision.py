"""The type of matrix products while training. Weights, gradients, sums and states stay float32."""

from __future__ import annotations

import torch

from cobra_kit.errors import TrainingError
from cobra_kit.model.device import bfloat16_obstacle
from cobra_kit.recipe.sections import ProductPrecision


def product_dtype(wanted: ProductPrecision, device: torch.device) -> torch.dtype | None:
    """Returns the type that autocast takes, or None where products are computed in the weights' own.

    Args:
        wanted: `auto` is bfloat16 on a GPU that computes in it, as the authors train (PAPER.md, hyper-parameters), and
            the weights' own type elsewhere: on most CPUs bfloat16 is slower.
        device: The device that the model runs on.

    Raises:
        TrainingError: The GPU is too old for bfloat16.
    """
    if wanted == "float32" or (wanted == "auto" and device.type != "cuda"):
        return None
    obstacle = bfloat16_obstacle(device)
    if obstacle is None:
        return torch.bfloat16
    if wanted == "auto":
        return None
    raise TrainingError(obstacle, where="train: precision", hint="Use precision: float32.")
