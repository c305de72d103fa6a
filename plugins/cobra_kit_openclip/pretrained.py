"""Weights of a tower: where they are, and how a checkpoint's tensors reach open_clip's module."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

from torch import Tensor, nn

from cobra_kit.errors import WeightsError
from cobra_kit.files import damage_as, expanded, read_json
from cobra_kit.interfaces import PretrainedFile
from cobra_kit.weights import hub_file, load_into, load_tensors
from cobra_kit_openclip.config import OpenClipConfig
from cobra_kit_openclip.models import describe
from cobra_kit_openclip.tower import Anatomy

_DECLARED = "open_clip_config.json"
_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_PREFIXES = ("visual.", "module.visual.", "state_dict.visual.", "state_dict.module.visual.")


def weights_file(config: OpenClipConfig) -> Path | None:
    """Returns the file or folder that `weights` names, or None for random weights.

    Raises:
        WeightsError: The hub's cannot be had, or none are published.
    """
    if config.weights == "none":
        return None
    if config.weights == "hub":
        return _from_hub(config)
    path = expanded(config.weights)
    check_declared(config, path)
    # A folder of the hub may hold a timm tower beside the whole CLIP; open_clip's own file goes first.
    return next((path / name for name in _FILES if (path / name).is_file()), path)


def pretrained_files(config: OpenClipConfig) -> tuple[PretrainedFile, ...]:
    """Returns what `weights_file` would find, without fetching it; of alternatives the preferred one.

    Raises:
        RecipeError: open_clip knows no such model or tag.
    """
    if config.weights == "none":
        return ()
    if config.weights != "hub":
        return (PretrainedFile(None, str(expanded(config.weights))),)
    published = describe(config).hub
    if published is None:
        return ()
    repository, names = _hub_files(published)
    return (PretrainedFile(repository, names[0]),)


def check_declared(config: OpenClipConfig, path: Path) -> None:
    """Checks that the `open_clip_config.json` beside weights, where there is one, says what model and tag say.

    open_clip takes the activation and the statistics of such a folder from that file; here they come from the config,
    and weights would run with the others' unnoticed.

    Raises:
        WeightsError: It says something else, or cannot be read.
    """
    file = (path if path.is_dir() else path.parent) / _DECLARED
    if not file.is_file():
        return
    try:
        with damage_as(WeightsError, "Fetch the file again."):
            content = read_json(file)
        model = content.get("model_cfg", content)
        declared = {**content.get("preprocess_cfg", {}), "quick_gelu": model.get("quick_gelu", False)}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise WeightsError(f"cannot be read: {error}", where=str(file), hint="Fetch the file again.") from error
    described = describe(config)
    compared = ["mean", "std", "interpolation"]
    compared += [] if "timm_model_name" in described.vision else ["quick_gelu"]
    compared += ["resize_mode"] if config.resize == "published" else []
    for key in compared:
        mine, theirs = getattr(described, key), declared.get(key)
        if theirs is not None and not _same(mine, theirs):
            tag = "no tag" if config.pretrained is None else f"the tag {config.pretrained}"
            raise WeightsError(
                f"says {key}: {json.dumps(theirs)}, but {config.model} with {tag} has {json.dumps(mine)}",
                where=str(file),
                hint=f"To take what the file says: model: {file}, pretrained: null. Else name the weights' own model.",
            )


def _same(mine: object, theirs: object) -> bool:
    if not isinstance(mine, tuple):
        return mine == theirs
    if not isinstance(theirs, list) or len(theirs) != len(mine):
        return False
    numbers = all(isinstance(value, (int, float)) for value in theirs)
    return numbers and all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(mine, theirs, strict=True))


def load_visual(visual: nn.Module, anatomy: Anatomy, path: Path) -> None:
    """Loads the visual tower of a checkpoint; of a whole CLIP the text tower's tensors are never read.

    Names are open_clip's, of the whole model (`visual.`, also as its training writes them) or of the tower alone; for a
    tower of timm's also timm's. Position embeddings of another size are resampled as open_clip and timm do.

    Raises:
        WeightsError: The file is missing, damaged, or does not fit.
    """
    tensors = load_tensors(path)
    prefix = next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in tensors)), "")
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    trunk = getattr(visual, "trunk", None)
    if trunk is not None and not any(name.startswith("trunk.") for name in own):
        own = {f"trunk.{name}": tensor for name, tensor in own.items()}
    fitted = _fit_clip_positions(own, visual) if trunk is None else _fit_timm_positions(own, trunk)
    load_into(visual, fitted, source=str(path), allow_missing=anatomy.unused, allow_extra=anatomy.unused)


def _from_hub(config: OpenClipConfig) -> Path:
    where = f"{config.component}: weights: hub"
    published = describe(config).hub
    if published is None:
        hint = "Name the tag of its published weights (pretrained), a checkpoint's path, or weights: none (random)."
        raise WeightsError(f"no published weights of {config.model} are known", where=where, hint=hint)
    repository, names = _hub_files(published)
    return hub_file(repository, names, where=where)


def _hub_files(published: str) -> tuple[str, tuple[str, ...]]:
    """Returns the repository and the names to look for, the preferred one first; see `Description.hub`."""
    repository, _, file = published.rpartition("/")
    return repository, (f"{Path(file).stem}.safetensors", file) if file else _FILES


def _fit_clip_positions(tensors: Mapping[str, Tensor], visual: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors with position embeddings `[1 + n d]` of the tower's grid, by open_clip's own function."""
    from open_clip.model import resize_pos_embed

    positions = tensors.get("positional_embedding")
    if positions is None or not _is_square(len(positions) - 1):
        return dict(tensors)  # the strict load names what is wrong
    state = {"visual.positional_embedding": positions.float()}
    resize_pos_embed(state, SimpleNamespace(visual=visual))
    return {**tensors, "positional_embedding": state["visual.positional_embedding"]}


def _fit_timm_positions(tensors: Mapping[str, Tensor], trunk: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors with position embeddings `[1 prefix + n d]` of the tower's grid, by timm's own function."""
    from timm.layers import resample_abs_pos_embed

    positions = tensors.get("trunk.pos_embed")
    wanted = getattr(trunk, "pos_embed", None)
    prefix = 0 if getattr(trunk, "no_embed_class", False) else int(getattr(trunk, "num_prefix_tokens", 0))
    if positions is None or wanted is None or positions.ndim != 3 or positions.shape == wanted.shape:
        return dict(tensors)
    if not _is_square(positions.shape[1] - prefix):
        return dict(tensors)
    side = math.isqrt(positions.shape[1] - prefix)
    grid = list(trunk.get_submodule("patch_embed").grid_size)  # type: ignore[arg-type]  # timm has no types
    resampled = resample_abs_pos_embed(positions, new_size=grid, old_size=[side, side], num_prefix_tokens=prefix)
    return {**tensors, "trunk.pos_embed": resampled}


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number
