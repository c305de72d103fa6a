"""Refuses tensors that do not belong together: the kernels read memory and look at no shape."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cobra_kit.errors import ShapeError


def check_shapes(
    what: str, first: str, device: torch.device, expected: Mapping[str, tuple[Tensor | None, tuple[int, ...]]]
) -> None:
    """Compares tensors with the shapes they must have and the device they must be on.

    Args:
        what: Whose they are, for the message.
        first: The name of the tensor that the device is of.
        device: The device that all must be on.
        expected: The tensors by name, None where one is left out, each with its shape.

    Raises:
        ShapeError: One has another shape, or is elsewhere.
    """
    for name, (tensor, shape) in expected.items():
        if tensor is None:
            continue
        if tuple(tensor.shape) != shape:
            raise ShapeError(f"{name} of {what} must be {list(shape)}, not {list(tensor.shape)}")
        if tensor.device != device:
            raise ShapeError(f"{name} of {what} is on {tensor.device}, but {first} is on {device}")
