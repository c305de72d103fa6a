"""A checkpoint of others to a model of a recipe, in a folder that `cobra_kit.load` opens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from cobra_kit.arguments import file_path
from cobra_kit.errors import WeightsError
from cobra_kit.exchange.formats import FORMATS, Format, find_format, referenced
from cobra_kit.exchange.names import renamed_once, unwrapped
from cobra_kit.exchange.output import check_output, whole_folder
from cobra_kit.exchange.parts import PROJECTOR_KEYS, check_description
from cobra_kit.exchange.published import RecipeModel, tensors_of
from cobra_kit.files import damage_as, read_json, write_json
from cobra_kit.formatting import printable
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.weights import check_memory, load_into
from cobra_kit.weights.reading import read_checkpoint

if TYPE_CHECKING:
    from cobra_kit.exchange.layouts import CheckpointLayout
    from cobra_kit.interfaces import Component
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import Recipe, ResolvedRecipe

IMPORTED = "imported.json"
_FILES = ("checkpoints/latest-checkpoint.pt", "latest-checkpoint.pt", "mm_projector.bin", "projector.safetensors")
_LONGEST = 200  # letters of a name in a message
_FORMAT_OF = {"mm_projector.bin": "llava", "projector.safetensors": "projector"}


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A checkpoint on disk.

    Args:
        file: The file with the tensors, or a folder with shards of them.
        config: The `config.json` beside or above it, or None.
        says: The contents of that config.
    """

    file: Path
    config: Path | None
    says: Mapping[str, Any]

    @property
    def parts(self) -> Mapping[str, Any] | None:
        """Returns the section `model`, in which the authors' files describe the parts; None where there is none."""
        section = self.says.get("model")
        return section if isinstance(section, Mapping) else None


def import_checkpoint(
    path: str | Path,
    *,
    recipe: str | Path | Recipe | ResolvedRecipe,
    out: str | Path,
    format: str | None = None,
    profile: str | None = None,
    arm: str | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
) -> list[str]:
    """Writes the model of a recipe with a checkpoint's weights; the other parts keep those that the recipe names.

    Args:
        path: The checkpoint: a file, or its folder.
        recipe: Says which parts the model has.
        out: The folder to write; `cobra_kit.load` opens it.
        format: A name of `FORMATS`; None: told by the names of the file and its tensors.
        profile: Which profile of the recipe; None: its default.
        arm: Which arm of an ablation; None: the recipe's own model.
        overrides: `a.b=c` settings of the recipe, as `--set` takes them.
        force: Replace a folder that an earlier import or export wrote.

    Returns:
        What was taken from where, line by line.

    Raises:
        WeightsError: The checkpoint is missing, damaged, unsafe, or does not fit the recipe.
        CobraError: The folder cannot be written, or the recipe is wrong.
    """
    folder, path = file_path(out, "out"), file_path(path, "path")
    check_output(folder, force=force, source=path)
    form = None if format is None else _readable(format)
    published = find_checkpoint(path)
    # Shapes first: what does not fit is refused before memory is spent.
    plan = compose(recipe, profile=profile, arm=arm, overrides=overrides, device="meta")
    assert plan.recipe is not None
    check_memory(_size(published.file) + sum(p.nbytes for p in plan.parameters()), where=str(published.file))
    checkpoint = read_checkpoint(published.file)
    form = form or _recognised(checkpoint.weights, published.file)
    layout: CheckpointLayout = referenced(cast("str", form.layout))
    tensors = unwrapped(checkpoint.weights, layout) or checkpoint.weights
    _check_parts(form, published, tensors, plan.recipe)
    model = compose(plan.recipe, pretrained=False)
    kinds, notes = _take(model, layout, tensors, published.file)
    notes = [f"{published.file}: format {form.name}", *notes, *_load_others(model, kinds)]
    if published.parts is None:
        notes.append("no config.json describes the checkpoint's parts: only names and shapes were compared")
    notes += [
        f"left out: {printable(section, _LONGEST)} ({count} tensors), which is not the weights"
        for section, count in checkpoint.left_out.items()
    ]
    with whole_folder(folder, force=force) as inside:
        write_json(
            inside / IMPORTED, {"format": form.name, "file": published.file.name, "config": _plain(published.says)}
        )
        model.save_pretrained(inside)
    return notes


def find_checkpoint(path: Path) -> PublishedCheckpoint:
    """Returns the file with the tensors and the `config.json` that goes with it.

    Raises:
        WeightsError: There is nothing to read, or `config.json` is damaged or one of ours.
    """
    if not _exists(path):
        raise WeightsError("no such checkpoint", where=str(path), hint="Give a file, or the folder of one.")
    file = next((path / name for name in _FILES if (path / name).is_file()), path)
    beside = path if file == path and path.is_dir() else file.parent
    config = next((each for each in (beside / "config.json", beside.parent / "config.json") if each.is_file()), None)
    says = _read_config(config) if config else {}
    if says.get("model_type") == "cobra_kit":
        hint = f"Open it as it is: cobra_kit.load({str(beside)!r})"
        raise WeightsError("this is a folder of cobra-kit's own and needs no import", where=str(beside), hint=hint)
    return PublishedCheckpoint(file, config, says)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # characters that no file name has, or a name that is too long
        return False


def _read_config(path: Path) -> dict[str, Any]:
    try:
        with damage_as(WeightsError, "Fetch the file again."):
            says = read_json(path, nan=True)  # NaN and infinity are no JSON, but transformers writes them
    except OSError as error:
        raise WeightsError(f"cannot be read: {error}", where=str(path), hint="Fetch the file again.") from error
    return says if isinstance(says, dict) else {}


def _size(path: Path) -> int:
    try:
        files = [each for each in path.iterdir() if each.is_file()] if path.is_dir() else [path]
        return sum(each.stat().st_size for each in files)
    except OSError as error:
        raise WeightsError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def _plain(value: Any) -> Any:
    """Returns what a config says as JSON has it, numbers that JSON has not as text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _readable(name: str) -> Format:
    form = find_format(name)
    if form.reads is None:
        raise WeightsError(f"the format {name} needs no import", hint="cobra_kit.load opens its folders as they are.")
    return form


def _recognised(tensors: Mapping[str, Tensor], file: Path) -> Format:
    if file.name in _FORMAT_OF:
        return FORMATS[_FORMAT_OF[file.name]]
    # The first that knows a beginning wins: `also_begins`, which several forms share, decides nothing here.
    for form in FORMATS.values():
        layout: CheckpointLayout | None = referenced(form.layout) if form.layout else None
        names = unwrapped(tensors, layout) if layout else None
        if layout and names and any(name.startswith(layout.begins) for name in names):
            return form
    known = ", ".join(name for name, form in FORMATS.items() if form.reads)
    shown = ", ".join(printable(name, _LONGEST) for name in sorted(tensors)[:3])
    raise WeightsError(
        f"of no known format: its names are {shown}, ...", where=str(file), hint=f"Formats that are read: {known}."
    )


def _check_parts(
    form: Format, published: PublishedCheckpoint, tensors: Mapping[str, Tensor], recipe: ResolvedRecipe
) -> None:
    if form.name == "cobra" and any(
        name.startswith(("model.vision_backbone.", "vision_backbone.")) for name in tensors
    ):
        raise WeightsError(
            "the checkpoint holds a trained vision encoder (stage full-finetune), which is not read",
            where=str(published.file),
            hint="Take the projector alone: --format prismatic.",
        )
    if form.name in ("cobra", "prismatic") and published.parts is not None:
        keys = () if form.name == "cobra" else PROJECTOR_KEYS
        check_description(published.parts, recipe, keys=keys, where=str(published.config))


def _take(
    model: VisionLanguageModel, layout: CheckpointLayout, tensors: Mapping[str, Tensor], file: Path
) -> tuple[list[Kind], list[str]]:
    """Copies a checkpoint's tensors into their parts; returns the parts, and what was taken and left out."""
    tidied = renamed_once(
        (name, tidy, tensor) for name, tensor in tensors.items() if (tidy := layout.tidied(name)) is not None
    )
    kinds = [
        kind
        for kind in layout.parts
        if kind not in layout.optional or any(name.startswith(layout.optional[kind]) for name in tidied)
    ]
    load_into(RecipeModel(tensors_of(model, layout, kinds)), tidied, source=str(file))
    notes = [f"{_words(kind)}: {model.components[kind]}, taken from the checkpoint" for kind in kinds]
    left_out = len(tensors) - len(tidied)
    return kinds, notes + ([f"left out: {left_out} tensors of other parts"] if left_out else [])


def _load_others(model: VisionLanguageModel, taken: Sequence[Kind]) -> list[str]:
    """Loads the weights that the recipe names for the parts that the checkpoint does not have."""
    notes = []
    for kind, module in model.parts().items():
        if kind in taken or not any(True for _ in module.parameters()):
            continue
        cast("Component", module).load_pretrained()
        assert model.recipe is not None
        weights = getattr(model.recipe.parts[kind].config, "weights", "none")
        origin = f"random from the recipe's seed (weights: {weights})" if weights == "none" else f"weights: {weights}"
        notes.append(f"{_words(kind)}: {model.components[kind]}, {origin}")
    return notes


def _words(kind: str) -> str:
    return kind.replace("_", " ")
