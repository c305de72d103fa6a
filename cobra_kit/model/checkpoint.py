"""A composed model on disk: `recipe.yaml`, `lock.json` and `model.safetensors` in one folder.

The weights carry the hash of the recipe they belong to, so files of two models in one folder are noticed, those of the
tokenizer's files where there are any, and one of themselves (see `weights.digests`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from cobra_kit.errors import DamagedFile, WeightsError
from cobra_kit.files import (
    bytes_digest,
    damage_as,
    file_digest,
    parse_json,
    read_small,
    read_utf8,
    write_json,
    write_text,
)
from cobra_kit.files.reading import as_mapping
from cobra_kit.model.building import allocate_parts, build_parts
from cobra_kit.model.device import floating_dtype, usable_device
from cobra_kit.model.placement import part_dtypes, place
from cobra_kit.model.signature import composed_tensors
from cobra_kit.recipe import load_recipe, resolve
from cobra_kit.weights import load_into, load_metadata, load_tensors, save_tensors

if TYPE_CHECKING:
    from cobra_kit.interfaces import Component
    from cobra_kit.model.multimodal_module import MultimodalModule
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import ResolvedRecipe

Model = TypeVar("Model", bound="MultimodalModule")

RECIPE, LOCK, WEIGHTS = "recipe.yaml", "lock.json", "model.safetensors"
TOKENIZER = "tokenizer.json"
"""In exported folders: the tokenizer, of which a recipe says only where it was found."""

_TOKENIZER_FILES = (TOKENIZER, "tokenizer_config.json")
_MOST_TOKENIZER = 256 << 20
_BESIDE = "files"
"""Key in the weights' header: the digests of files in the folder that decide what the model reads, as JSON."""

PACKAGED_TOKENIZER = "small"
"""What a backbone's `tokenizer` says for the one that comes with the toolkit (and what no such key means too)."""


def save_pretrained(
    model: MultimodalModule,
    recipe: ResolvedRecipe,
    folder: Path,
    tensors: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Writes a model; each file is whole or not there at all, and the weights come last.

    Args:
        model: The model to write.
        recipe: What it was composed from.
        folder: The folder that is written to.
        tensors: The weights, of the model's names and any shape; None: the model's own.

    Raises:
        WeightsError: The model is no longer what was composed, or a file cannot be written.
    """
    own = composed_tensors(model, model.composed)  # before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    text = recipe.to_yaml()
    write_text(folder / RECIPE, text)
    write_json(folder / LOCK, recipe.lock())
    beside = {name: file_digest(folder / name).sha256 for name in _TOKENIZER_FILES if (folder / name).is_file()}
    metadata = {"recipe_sha256": _digest(text)} | ({_BESIDE: json.dumps(beside, sort_keys=True)} if beside else {})
    save_tensors(folder / WEIGHTS, own if tensors is None else tensors, metadata=metadata)


def from_pretrained(
    folder: Path,
    of_parts: Callable[[ResolvedRecipe, Mapping[Kind, Component]], Model],
    *,
    device: torch.device | str,
    dtype: torch.dtype | None,
) -> Model:
    """Returns the model of a folder that `save_pretrained` wrote.

    Args:
        folder: The folder that holds the model.
        of_parts: Makes the model of the recipe and its parts.
        device: The device that the weights are put on.
        dtype: Floating-point type of the weights; None: as they were saved.

    Raises:
        WeightsError: A file is missing or damaged, or the weights do not fit.
    """
    missing = [name for name in (RECIPE, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise WeightsError(
            f"{folder} is not a saved model: {' and '.join(missing)} not found",
            hint="A saved model is a folder written by model.save_pretrained(folder).",
        )
    device = usable_device(device)
    dtype = None if dtype is None else floating_dtype(dtype)
    # The recipe is compared before anything is built: a wrong model costs as much to build as a right one.
    written_for = load_metadata(folder / WEIGHTS).get("recipe_sha256")
    with damage_as(WeightsError, "Save the model again into an empty folder."):
        text = read_utf8(folder / RECIPE)
    if written_for != _digest(text.replace("\r\n", "\n")):  # as git checks files out on Windows
        raise WeightsError(
            f"{folder / WEIGHTS} was not written for the {RECIPE} beside it",
            hint="The recipe was edited, or saving was interrupted. Save the model again into an empty folder.",
        )
    recipe = load_recipe(folder / RECIPE)
    resolved = resolved_here(folder)
    modules = build_parts(resolved)
    cpu = torch.device("cpu")
    allocate_parts(modules, resolved, cpu, part_dtypes(resolved.recipe, cpu, None), pretrained=False)
    model = of_parts(resolved, modules)
    _ = model.processor  # a missing tokenizer is an error now, not at the first batch
    model.recipe = resolve(recipe)  # as it was saved, without paths of this machine
    tensors = load_tensors(folder / WEIGHTS)
    load_into(model, tensors, source=str(folder / WEIGHTS))
    if dtype is None:
        _take_dtypes(model, tensors)
    dtypes = part_dtypes(recipe, device, dtype)
    for kind, module in model.parts().items():
        place(module, device, dtypes[kind])
    return model


def resolved_here(folder: Path) -> ResolvedRecipe:
    """Returns the recipe of a saved model, resolved; a tokenizer that lies in the folder is the one that is used.

    So an exported model needs neither the path nor the hub repository that its recipe had the tokenizer from.

    Raises:
        WeightsError: A file of the tokenizer's is not the one that the weights were saved with.
    """
    _check_beside(folder)
    recipe = load_recipe(folder / RECIPE)
    named = recipe.part("backbone").settings().get("tokenizer", PACKAGED_TOKENIZER)
    if named == PACKAGED_TOKENIZER or not (folder / TOKENIZER).is_file():
        return resolve(recipe)
    here = json.dumps(str((folder / TOKENIZER).absolute()))
    return resolve(load_recipe(folder / RECIPE, overrides=[f"model.backbone.tokenizer={here}"]))


def _check_beside(folder: Path) -> None:
    """Checks the tokenizer's files, where the weights are there to say what they should be."""
    weights = folder / WEIGHTS
    if not weights.is_file():
        return  # a folder of the processor's alone
    remedy = "Fetch or export the folder again."
    with damage_as(WeightsError, remedy):
        digests = as_mapping(parse_json(load_metadata(weights).get(_BESIDE, "{}"), weights), weights)
        for name in _TOKENIZER_FILES:
            if name in digests:
                content = _content(folder / name)
                if content is None or bytes_digest(content).sha256 != digests[name]:
                    problem = "is missing" if content is None else "is not what the model was saved with"
                    raise DamagedFile(folder / name, f"{problem}: {weights.name} names its digest", remedy)


def _content(path: Path) -> bytes | None:
    try:
        return read_small(path, min(path.stat().st_size, _MOST_TOKENIZER))
    except FileNotFoundError:
        return None


def _take_dtypes(model: MultimodalModule, tensors: Mapping[str, torch.Tensor]) -> None:
    """Gives the model's tensors the floating-point types that they were saved in."""
    for name, tensor in model.state_dict(keep_vars=True).items():
        if name in tensors and tensor.is_floating_point():
            tensor.data = tensor.data.to(tensors[name].dtype)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
