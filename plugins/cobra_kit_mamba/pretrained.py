"""Mamba weights into a model: packaged ones, or published ones from the hub or a folder, in either published form.

Of each tensor there is one copy in memory beside the file: what is read is a view of the file (the system takes its
pages back as it likes), copied into the module one tensor after the other, converted to the module's dtype on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cobra_kit.errors import UnreadableFile, WeightsError
from cobra_kit.files import read_json
from cobra_kit.interfaces import PretrainedFile
from cobra_kit.text.vocabulary import vocabulary_digest
from cobra_kit.weights import hub_folder, load_into, load_packaged, load_tensors
from cobra_kit_mamba.config import MambaFamilyConfig
from cobra_kit_mamba.published import check_published
from cobra_kit_mamba.tokenizer import family_codec

PACKAGED = Path(__file__).parent / "weights"
"""The folder of the weights that come with the plugin; the cards there say how they were made."""

_LAST_NORM = "norm_f.weight"


def load_published(model: nn.Module, config: MambaFamilyConfig) -> None:
    """Loads what `config.weights` names into a model, all of it or nothing.

    Two forms are known, whole or in shards, as safetensors or as a PyTorch file: state-spaces'
    (`backbone.embedding.weight`) and transformers' (`backbone.embeddings.weight`). A folder's `config.json` is
    compared with the model's sizes first.

    Raises:
        WeightsError: The weights cannot be found, read, or do not fit.
    """
    if config.weights == "none":
        return
    if config.weights == "packaged" and config.packaged_file is not None:
        vocabulary = vocabulary_digest(family_codec(config).tokenizer)
        load_packaged(model, PACKAGED / config.packaged_file, vocabulary=vocabulary)
        return
    path = _path(config)
    if path.is_dir():
        check_published(_read_config(path), config, where=str(path / "config.json"))
    load_into(model, own_names(load_tensors(path)), source=str(path))


def pretrained_files(config: MambaFamilyConfig) -> tuple[PretrainedFile, ...]:
    """Returns what `load_published` would read, without fetching it; nothing where nothing is published."""
    if config.weights == "hub":
        return tuple(PretrainedFile(config.hub_id, name) for name in config.hub_files) if config.hub_id else ()
    if config.weights == "packaged":
        return (PretrainedFile(None, str(PACKAGED / config.packaged_file)),) if config.packaged_file else ()
    return () if config.weights == "none" else (PretrainedFile(None, config.weights),)


def own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns published tensors, of any shape, under the names of this plugin's modules, which are state-spaces'.

    Renamed are transformers' `embeddings`, and the prefix of a model that was saved inside another (open_lm's
    `model.`, DistributedDataParallel's `module.`) or without its head. What is not known keeps its name.
    """
    root = next((name.removesuffix(_LAST_NORM) for name in tensors if name.endswith(_LAST_NORM)), "backbone.")
    head = root.removesuffix("backbone.")
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(root):
            inner = name.removeprefix(root)
            renamed["backbone." + inner.replace("embeddings.", "embedding.", 1)] = tensor
        else:
            renamed[name.removeprefix(head)] = tensor
    return renamed


def _path(config: MambaFamilyConfig) -> Path:
    weights, repository = config.weights, config.hub_id
    if weights == "hub" and repository is not None:
        return hub_folder(repository, patterns=config.hub_files, where=f"{repository}: weights: hub")
    if weights in ("hub", "packaged"):
        raise WeightsError(
            f"this backbone has no weights of the kind {weights!r}",
            hint="give a file or folder as `weights`, or `weights: none` for random values; mamba/tiny-base and "
            "mamba/tiny-chat come with weights (`packaged`)",
        )
    return Path(weights)


def _read_config(folder: Path) -> Mapping[str, Any]:
    file = folder / "config.json"
    try:
        read = read_json(file, nan=True)  # transformers writes infinity, which is no JSON
    except FileNotFoundError as error:
        raise WeightsError(
            "the folder has no config.json, so nothing says what its weights are",
            where=str(folder),
            hint="Give the folder as it was published, or name the file with the weights instead of the folder.",
        ) from error
    except UnreadableFile as error:
        reason = error.message.removeprefix("cannot be read: ")
        raise WeightsError(f"cannot be read: {reason}", where=str(file), hint="Fetch the file again.") from error
    if not isinstance(read, dict):
        raise WeightsError(f"holds no settings but a {type(read).__name__}", where=str(file))
    return read
