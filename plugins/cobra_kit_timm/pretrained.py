"""Weights of a tower: where they are, and how a file's tensors reach timm's module."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor

from cobra_kit.errors import NotFinishedError, WeightsError
from cobra_kit.weights import load_into, load_tensors
from cobra_kit_timm.config import EncoderConfig
from cobra_kit_timm.tower import Tower

PACKAGED = Path(__file__).parent / "weights"
"""The folder of the weights that come with the plugin; `CARD.md` there says how they were made."""

_OWN_PREFIX = "tower.vit."


def weights_path(config: EncoderConfig) -> Path | None:
    """Returns the path that `weights` names, or None for random weights; of `packaged`, the folder of all files.

    Raises:
        NotFinishedError: `weights` is `hub`.
        WeightsError: `weights` is `packaged` and the plugin ships none of this encoder.
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
        if config.component.partition("/")[2] != "tiny":
            raise WeightsError(
                "only the tiny encoders come with weights",
                where=f"{config.component}: weights: packaged",
                hint="Use weights: hub (published), none (random), or the path of a safetensors file.",
            )
        return PACKAGED
    return Path(config.weights).expanduser()


def one_file(config: EncoderConfig) -> Path | None:
    """Returns the file or folder of a single tower's weights, or None for random ones.

    Raises:
        NotFinishedError: `weights` is `hub`.
        WeightsError: `weights` is `packaged` and the plugin ships none of this encoder.
    """
    path = weights_path(config)
    return path / _packaged_name(config.component.partition("/")[0]) if path == PACKAGED else path


def two_files(config: EncoderConfig) -> tuple[Path, Path] | None:
    """Returns the files of DINOv2's and SigLIP's weights, or None for random ones.

    Raises:
        NotFinishedError: `weights` is `hub`.
        WeightsError: The path is no folder, or `weights` is `packaged` and the plugin ships none of this encoder.
    """
    folder = weights_path(config)
    if folder is None:
        return None
    if folder == PACKAGED:
        return folder / _packaged_name("dinov2"), folder / _packaged_name("siglip")
    if not folder.is_dir():
        raise WeightsError(
            f"weights of two towers come from a folder, and {folder} is none",
            where=f"{config.component}: weights",
            hint="Give a folder that holds dinov2.safetensors and siglip.safetensors.",
        )
    return folder / "dinov2.safetensors", folder / "siglip.safetensors"


def _packaged_name(family: str) -> str:
    return f"{family}_tiny.safetensors"


def load_tower(tower: Tower, path: Path) -> None:
    """Loads a checkpoint in timm's names, position embeddings resampled to the tower's grid.

    What never runs may be missing: `cobra-kit pretrain` leaves it out. Its names begin with `tower.vit.`, as those of
    the encoder's `state_dict`; both forms are read.

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
    try:
        load_into(tower.vit, tensors, source=str(path), allow_missing=tower.unused_names())
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
