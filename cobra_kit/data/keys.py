"""Names for derived files: a hash of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cobra_kit import images
from cobra_kit.data.rows import DataSource
from cobra_kit.errors import DataError
from cobra_kit.hashing import source_fingerprint
from cobra_kit.interfaces import TokenShape
from cobra_kit.model import VisionLanguageModel

_MOST_TOKENS = 1 << 24
"""Tokens of an image, far above any encoder's: what a damaged record says is not believed."""


def preparation_identity(model: VisionLanguageModel, source: DataSource, image_ids: Sequence[str]) -> dict[str, Any]:
    """Returns what prepared images depend on: the encoder's component, its code and config, and the data.

    Raises:
        DataError: The model was built by hand, so its encoder has no name.
    """
    if model.recipe is None:
        raise DataError(
            "this model was built from parts by hand, so nothing says which encoder its features belong to",
            hint="Make it with cobra_kit.compose.",
        )
    part = model.recipe.parts["vision_encoder"]
    return {
        "component": part.component.qualified,
        "distribution": part.component.distribution,
        "code": part.component.code_fingerprint(),
        "preparation": _preparation_code(),
        "config": part.config.model_dump(mode="json"),
        "data": source.fingerprint,
        "pictures": hashlib.sha256("\0".join(image_ids).encode("utf-8", "surrogatepass")).hexdigest(),
    }


def feature_identity(
    model: VisionLanguageModel, source: DataSource, image_ids: Sequence[str], unread: Collection[str] = ()
) -> dict[str, Any]:
    """Returns what encoder features depend on: the preparation and the encoder's weights, but for those not read."""
    weights = weights_digest(model.vision_encoder, unread)
    return {**preparation_identity(model, source, image_ids), "weights": weights}


def preparation_key(model: VisionLanguageModel, source: DataSource, image_ids: Sequence[str]) -> str:
    """Returns the name of what is derived from prepared images."""
    return short_hash(preparation_identity(model, source, image_ids))


def short_hash(identity: dict[str, Any]) -> str:
    """Returns 16 hex digits of a JSON-able value."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def shape_to_json(shape: TokenShape) -> list[Any]:
    """Returns a token shape as JSON writes it."""
    return [shape.num_tokens, shape.grid]


NO_SHAPE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError)
"""What reading shapes out of a damaged record raises."""


def shape_from_json(plain: list[Any]) -> TokenShape:
    """Returns what `shape_to_json` wrote; one of `NO_SHAPE` for anything else."""
    num_tokens, grid = plain
    sizes = [num_tokens] if grid is None else [num_tokens, *grid]
    if not all(type(size) is int and 0 < size <= _MOST_TOKENS for size in sizes):
        raise ValueError(f"{plain} is no shape of tokens")
    return TokenShape(num_tokens, None if grid is None else (grid[0], grid[1]))


def weights_digest(module: nn.Module, without: Collection[str] = ()) -> str:
    """Returns a hash of parameters and persistent buffers: names, types, shapes and bytes.

    Args:
        module: The module whose tensors are hashed.
        without: Names, as in `state_dict`, of those that do not count.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if name in without:
            continue
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@cache
def _preparation_code() -> str:
    """Returns a hash of the code with which every encoder opens and resizes images; it has no version of its own."""
    return source_fingerprint([Path(images.__file__).parent])
