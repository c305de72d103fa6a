"""The places of the weights that a config names; those of the hub are fetched."""

from __future__ import annotations

from pathlib import Path

from cobra_kit.errors import WeightsError
from cobra_kit.files import expanded
from cobra_kit.interfaces import PretrainedFile
from cobra_kit.weights import hub_file
from cobra_kit_timm.config import EncoderConfig
from cobra_kit_timm.families import DINOV2, SIGLIP, Family

PACKAGED = Path(__file__).parent / "weights"
"""The folder of the weights that come with the plugin; the cards there say how they were made."""

_NAMES = {DINOV2.key: "dinov2", SIGLIP.key: "siglip"}
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def one_file(config: EncoderConfig, family: Family) -> Path | None:
    """Returns the file or folder of a single tower's weights, or None for random ones.

    Raises:
        WeightsError: The hub's cannot be had, or `weights` is `packaged` and the plugin ships none of this encoder.
    """
    if config.weights == "none":
        return None
    return _provided(config, family) or expanded(config.weights)


def two_files(config: EncoderConfig) -> tuple[Path, Path] | None:
    """Returns the files or folders of DINOv2's and SigLIP's weights, or None for random ones.

    Raises:
        WeightsError: The hub's cannot be had, the path is no folder that holds both, or `weights` is `packaged` and the
            plugin ships none of this encoder.
    """
    if config.weights == "none":
        return None
    return _one_of_two(config, DINOV2), _one_of_two(config, SIGLIP)


def pretrained_files(config: EncoderConfig, *families: Family) -> tuple[PretrainedFile, ...]:
    """Returns what `one_file` or `two_files` would find, without fetching it; of alternatives the preferred one.

    Args:
        config: The encoder's settings.
        *families: The families of its towers, in order.
    """
    if config.weights == "none" or (config.weights == "hub" and _is_tiny(config)):
        return ()
    if config.weights == "hub":
        return tuple(PretrainedFile(hub_repository(family), _HUB_FILES[0]) for family in families)
    if config.weights == "packaged":
        return tuple(PretrainedFile(None, str(_packaged(family))) for family in families)
    return (PretrainedFile(None, str(expanded(config.weights))),)


def hub_repository(family: Family) -> str:
    """Returns the hub repository of a family's published weights, as timm's own table names it."""
    from timm.models import get_pretrained_cfg

    return str(get_pretrained_cfg(f"{family.timm_name}.{family.tag}").hf_hub_id)


def _provided(config: EncoderConfig, family: Family) -> Path | None:
    """Returns the file that `hub` or `packaged` stands for; None where `weights` is a path."""
    where = f"{config.component}: weights: {config.weights}"
    if config.weights == "hub":
        if _is_tiny(config):
            hint = "Use weights: packaged (comes with the plugin), none (random), or the path of a checkpoint."
            raise WeightsError("no weights of the tiny encoders are published", where=where, hint=hint)
        return hub_file(hub_repository(family), _HUB_FILES, where=where)
    if config.weights == "packaged":
        if not _is_tiny(config):
            hint = "Use weights: hub (published), none (random), or the path of a checkpoint."
            raise WeightsError("only the tiny encoders come with weights", where=where, hint=hint)
        return _packaged(family)
    return None


def _is_tiny(config: EncoderConfig) -> bool:
    return config.component.partition("/")[2] == "tiny"


def _packaged(family: Family) -> Path:
    return PACKAGED / f"{_NAMES[family.key]}_tiny.safetensors"


def _one_of_two(config: EncoderConfig, family: Family) -> Path:
    provided = _provided(config, family)
    if provided is not None:
        return provided
    folder = expanded(config.weights)
    where = f"{config.component}: weights"
    names = [
        f"{_NAMES[family.key]}.safetensors",
        _NAMES[family.key],
        hub_repository(family).rpartition("/")[2],
    ]
    if not folder.is_dir():
        hint = f"Give a folder that holds, of each tower, one of: {_choices()}."
        raise WeightsError(f"weights of two towers come from a folder, and {folder} is none", where=where, hint=hint)
    path = next((folder / name for name in names if (folder / name).exists()), None)
    if path is None:
        raise WeightsError(
            f"{folder} holds no weights of {names[1]}", where=where, hint=f"Looked for {', '.join(names)}."
        )
    return path


def _choices() -> str:
    return "NAME.safetensors, a folder NAME, or the folder of its hub repository; NAME is dinov2 and siglip"
