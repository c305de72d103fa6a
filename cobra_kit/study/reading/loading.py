"""The trained model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cobra_kit.arguments import file_path
from cobra_kit.errors import CobraError, DamagedWeightsError
from cobra_kit.files import check_file, inside
from cobra_kit.model.checkpoint import WEIGHTS
from cobra_kit.study.folder import MANIFEST, TRAINING
from cobra_kit.study.reading.stored_files import AGAIN, saved_files

if TYPE_CHECKING:
    from cobra_kit.model import VisionLanguageModel


def load(
    run_dir: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> VisionLanguageModel:
    """Returns the trained model of a run's folder.

    Args:
        run_dir: Such as `studies/ablation_projector-laptop/runs/mlp-s7`; any folder of `save_pretrained` will do.
        device: The device that the weights are put on.
        dtype: Floating-point type of the weights; None: as they were saved.

    Raises:
        CobraError: The folder holds no trained model.
    """
    from cobra_kit.model import VisionLanguageModel

    folder = file_path(run_dir, "run_dir")
    if not (folder / WEIGHTS).is_file():
        raise CobraError("no trained model here", where=str(folder), hint=_hint(folder))
    for name, digest in saved_files(folder).items():
        check_file(inside(folder, name, folder / TRAINING), digest, AGAIN)
    try:
        return VisionLanguageModel.from_pretrained(folder, device=device, dtype=dtype)
    except DamagedWeightsError as error:
        if not (folder / TRAINING).is_file():  # a saved model that no study made
            raise
        error.hint = f"Delete {folder / WEIGHTS} and give the study's command again{_anew(folder)}"
        raise


def has_checkpoint(folder: Path) -> bool:
    """Returns whether a run's folder has checkpoints, the last of which has the weights of a finished training."""
    return any(folder.glob("checkpoints/*.safetensors"))


def _anew(folder: Path) -> str:
    if has_checkpoint(folder):
        return ": the weights are taken from the last checkpoint."
    # The figures say that training is finished, so that nobody trains again who has made room on the disk.
    return f", with {folder / TRAINING} deleted too: its checkpoints are gone, so it is trained anew."


def _hint(folder: Path) -> str:
    runs = sorted(path.parent for path in folder.glob(f"runs/*/{WEIGHTS}"))
    if runs:
        return f"This is a study. Its runs: {', '.join(str(run) for run in runs)}"
    if (folder / TRAINING).is_file():
        return f"Give the study's command again{_anew(folder)}"
    if (folder / MANIFEST).is_file():
        return "Its training is not finished. Give the study's command again: it goes on."
    return "A run's folder is studies/NAME/runs/ARM-sSEED."
