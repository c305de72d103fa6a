"""Weights of a tower: how a file's tensors reach timm's module."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from cobra_kit.errors import WeightsError
from cobra_kit.weights import load_into, load_tensors
from cobra_kit_timm.sources import PACKAGED
from cobra_kit_timm.tower import Tower

_OWN_PREFIX = "tower.vit."


def load_tower(tower: Tower, path: Path) -> None:
    """Loads a checkpoint in timm's names, position embeddings resampled to the tower's grid.

    What never runs may be missing: `cobra-kit pretrain` leaves it out; where the tower is built without it, it is not
    loaded. Names may begin with `tower.vit.`, as those of the encoder's `state_dict` do.

    Raises:
        WeightsError: The file is missing, damaged, or does not fit.
    """
    if path.parent == PACKAGED and not path.exists():
        raise WeightsError(
            "the weights that come with this plugin are missing",
            where=str(path),
            hint="Install the package again, or use weights: none (random).",
        )
    tensors = {name.removeprefix(_OWN_PREFIX): tensor for name, tensor in load_tensors(path).items()}
    if "pos_embed" in tensors:
        tensors["pos_embed"] = _fit_positions(tensors["pos_embed"], tower.grid)
    unused = tower.unused_names()
    try:
        load_into(tower.vit, tensors, source=str(path), allow_missing=unused, allow_extra=unused)
    except WeightsError as error:
        if path.parent != PACKAGED:
            raise
        hint = "The packaged weights fit the default sizes only; with other sizes use weights: none (random)."
        raise WeightsError(error.message, where=error.where, hint=f"{hint}\n{error.hint}") from error


def _fit_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Returns position embeddings `[1 n d]` of a square grid, resampled to `grid` as timm does on loading.

    The published DINOv2 is made for 518 px (37 x 37) and used at 384 px (27 x 27), PAPER.md 1.1. Embeddings of as many
    tokens as the grid has are taken as they are; a number that is no square is left for the strict load to refuse.
    Neither family has embeddings for its prefix tokens.
    """
    tokens = positions.shape[1] if positions.ndim == 3 else 0
    side = math.isqrt(tokens)
    if tokens in {0, grid[0] * grid[1]} or side * side != tokens:
        return positions
    from timm.layers import resample_abs_pos_embed

    resampled: Tensor = resample_abs_pos_embed(
        positions, new_size=list(grid), old_size=[side, side], num_prefix_tokens=0
    )
    return resampled
