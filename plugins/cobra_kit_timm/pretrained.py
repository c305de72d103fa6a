"""Weights of a tower: where they are, and how a file's tensors reach timm's module."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from cobra_kit.errors import NotFinishedError, WeightsError
from cobra_kit.weights import load_into, load_tensors
from cobra_kit_timm.config import EncoderConfig
from cobra_kit_timm.tower import Tower


def weights_path(config: EncoderConfig) -> Path | None:
    """Returns the path that `weights` names, or None for random weights.

    Raises:
        NotFinishedError: `weights` is `hub` or `packaged`.
    """
    if config.weights == "none":
        return None
    if config.weights == "hub":
        raise NotFinishedError(
            "loading published weights from the hub comes with the full-size parts, not in this version",
            where=f"{config.component}: weights: hub",
            hint="Download timm's model.safetensors and give its path, or use weights: none (random).",
        )
    if config.weights == "packaged":
        raise NotFinishedError(
            "this version ships no weights: the pretrained tiny encoders come with the first ablation",
            where=f"{config.component}: weights: packaged",
            hint="Use weights: none (random), or the path of a safetensors file.",
        )
    return Path(config.weights).expanduser()


def weights_folder(config: EncoderConfig) -> Path | None:
    """Returns the folder of two files that `weights` names, or None for random weights.

    Raises:
        NotFinishedError: `weights` is `hub` or `packaged`.
        WeightsError: The path is no folder.
    """
    folder = weights_path(config)
    if folder is not None and not folder.is_dir():
        raise WeightsError(
            f"weights of two towers come from a folder, and {folder} is none",
            where=f"{config.component}: weights",
            hint="Give a folder that holds dinov2.safetensors and siglip.safetensors.",
        )
    return folder


def load_tower(tower: Tower, path: Path) -> None:
    """Loads a checkpoint in timm's names, position embeddings resampled to the tower's grid.

    Raises:
        WeightsError: The file is missing, damaged, or does not fit.
    """
    tensors = load_tensors(path)
    if "pos_embed" in tensors:
        tensors["pos_embed"] = _fit_positions(tensors["pos_embed"], tower.grid)
    load_into(tower.vit, tensors, source=str(path))


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
