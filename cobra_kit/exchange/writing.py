"""A model to a checkpoint of others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cobra_kit import __version__
from cobra_kit.arguments import file_path, instance
from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.exchange.formats import find_format, writer_of
from cobra_kit.exchange.layouts import COBRA, LLAVA, PRISMATIC, PROJECTOR
from cobra_kit.exchange.output import whole_folder
from cobra_kit.exchange.parts import described
from cobra_kit.exchange.published import tensors_of
from cobra_kit.files import atomic_write, write_json
from cobra_kit.weights import save_tensors

if TYPE_CHECKING:
    from cobra_kit.model import VisionLanguageModel
    from cobra_kit.recipe import ResolvedRecipe

_LATEST = "checkpoints/latest-checkpoint.pt"


def export_model(model: VisionLanguageModel, *, format: str, out: str | Path, force: bool = False) -> list[str]:
    """Writes a model in a form that others read.

    Args:
        model: A model that was composed from a recipe.
        format: A name of `FORMATS`.
        out: The folder to write; it is there as a whole or not at all.
        force: Replace a folder that an earlier import or export wrote.

    Returns:
        What a user should know, line by line.

    Raises:
        CobraError: No such format, the format cannot hold the model, or the folder cannot be written.
    """
    from cobra_kit.model import VisionLanguageModel

    instance(model, VisionLanguageModel, "model", hint="cobra_kit.load opens one.")
    writer = writer_of(find_format(format))
    with whole_folder(file_path(out, "out"), force=force) as folder:
        return writer(model, folder)


def write_cobra(model: VisionLanguageModel, folder: Path) -> list[str]:
    """Writes projector and language model as the authors' training does.

    Raises:
        WeightsError: The model lays out its sequence in another way than theirs.
    """
    fusion = recipe_of(model).parts["fusion"].component
    if not fusion.spec.prismatic_id:
        raise WeightsError(
            f"the authors' form has no place for {fusion.qualified}: it always means all images first",
            hint="Export with --format huggingface.",
        )
    names = tensors_of(model, COBRA)
    parts = {
        "projector": _without("model.projector.", names),
        "llm_backbone": _without("model.llm_backbone.", names),
    }
    _write_run(model, folder, parts, stage="finetune")
    return [_left_out(model, "vision_encoder")]


def write_prismatic(model: VisionLanguageModel, folder: Path) -> list[str]:
    """Writes the projector alone, as an align stage of Prismatic or Cobra does."""
    parts = {"projector": _without("model.projector.", tensors_of(model, PRISMATIC))}
    _write_run(model, folder, parts, stage="align")
    return []


def write_llava(model: VisionLanguageModel, folder: Path) -> list[str]:
    """Writes `mm_projector.bin`, the projector alone under LLaVA's names."""
    _save_pickle(folder / "mm_projector.bin", _plain(tensors_of(model, LLAVA)))
    return []


def write_projector(model: VisionLanguageModel, folder: Path) -> list[str]:
    """Writes `projector.safetensors`, the projector alone under its published names."""
    header = {"component": model.components["projector"], "cobra_kit": __version__}
    tensors = tensors_of(model, PROJECTOR)
    save_tensors(folder / "projector.safetensors", _plain(tensors), metadata=header)
    return []


def recipe_of(model: VisionLanguageModel) -> ResolvedRecipe:
    """Returns the recipe of a model.

    Raises:
        CobraError: It was built from parts by hand.
    """
    if model.recipe is None:
        raise CobraError("this model was built from parts by hand and has no recipe", hint="Use cobra_kit.compose.")
    return model.recipe


def _write_run(model: VisionLanguageModel, folder: Path, parts: Mapping[str, Any], *, stage: str) -> None:
    recipe = recipe_of(model)
    says = {
        "model": described(recipe),
        "stage": stage,
        "seed": recipe.recipe.seed,
        "cobra_kit": {"version": __version__, "components": model.components},
    }
    (folder / "checkpoints").mkdir()
    _save_pickle(folder / _LATEST, {"model": dict(parts)})
    write_json(folder / "config.json", says)


def _save_pickle(path: Path, content: Mapping[str, Any]) -> None:
    try:
        with atomic_write(path) as temporary:
            torch.save(content, temporary)
    except RuntimeError as error:  # what torch's writer raises on a full disk
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"cannot write: {reason}", where=str(path), hint="Make room on the disk.") from error


def _without(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    kept = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return _plain(kept)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the values; tied names still share one, which is then stored once."""
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _left_out(model: VisionLanguageModel, kind: str) -> str:
    return f"not in this form: the {kind.replace('_', ' ')}; whoever reads it brings {model.components[kind]}'s weights"
