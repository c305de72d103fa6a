"""Tensors by name, as a caller gives them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from cobra_kit.arguments import valid_text
from cobra_kit.errors import ArgumentError, kind_of


def check_tensors(tensors: object, name: str) -> None:
    """Checks that something is a mapping of names to tensors.

    Raises:
        ArgumentError: It is none; numpy's arrays are no tensors.
    """
    if not isinstance(tensors, Mapping):
        raise ArgumentError(f"{name} must be a mapping of names to tensors, not {kind_of(tensors)}")
    for key, value in tensors.items():
        valid_text(key, f"a name in {name}")
        if not isinstance(value, Tensor):
            raise ArgumentError(
                f"{key!r} in {name} must be a tensor, not {kind_of(value)}",
                hint="torch.from_numpy makes one of an array.",
            )
