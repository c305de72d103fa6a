"""Published weights into a backbone: from the hub, a folder or a file, under old and new names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from cobra_kit.files import expanded
from cobra_kit.interfaces import PretrainedFile
from cobra_kit.weights import FILE_NAMES, hub_folder, load_into, load_tensors
from cobra_kit_transformer.architecture import model_folder, source_of
from cobra_kit_transformer.causal import CausalBackbone
from cobra_kit_transformer.hf_config import DecoderConfig, HfConfig

_SAFE = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
_SMALL = ("config.json", "tokenizer.json", "tokenizer_config.json")

_RENAMED = ((re.compile(r"^embed_out\."), "lm_head."),)
"""Names of older checkpoints (Pythia's head), and what transformers 5 calls the same tensors."""

_COMPUTED = ("*.rotary_emb.inv_freq", "*.attention.bias", "*.attention.masked_bias")
"""What older checkpoints store though it follows from the sizes: rotary frequencies and causal masks."""


def load_checkpoint(backbone: CausalBackbone, config: DecoderConfig) -> None:
    """Loads the weights that a config names into the backbone built of it; does nothing for `none`.

    Raises:
        WeightsError: They are missing, damaged, or do not fit.
    """
    if config.weights == "none":
        return
    path = weights_path(config)
    extra = [*_COMPUTED, *((backbone.tied_head,) if backbone.tied_head else ())]
    load_into(backbone, renamed(load_tensors(path)), source=str(path), allow_extra=extra)


def weights_path(config: DecoderConfig) -> Path:
    """Returns the file or folder with the weights, fetched first where they are on the hub.

    Raises:
        WeightsError: The hub cannot be had, or has no weights there.
    """
    repository = _repository(config)
    if isinstance(repository, Path):
        return repository
    where = f"{source_of(config)}: weights: hub"
    folder = hub_folder(repository, patterns=(*_SAFE, *_SMALL), where=where)
    if any((folder / name).is_file() for name in FILE_NAMES):
        return folder  # a repository that has both forms is not fetched twice
    return hub_folder(repository, patterns=(*_PICKLED, *_SMALL), where=where)


def pretrained_files(config: DecoderConfig) -> tuple[PretrainedFile, ...]:
    """Returns what `load_checkpoint` would read, without fetching it; of the two forms of weights the preferred one."""
    if config.weights == "none":
        return ()
    repository = _repository(config)
    if isinstance(repository, Path):
        return (PretrainedFile(None, str(repository)),)
    return tuple(PretrainedFile(repository, pattern) for pattern in (*_SAFE, *_SMALL))


def _repository(config: DecoderConfig) -> Path | str:
    """Returns the hub repository of the weights, or the path where they are here."""
    if config.weights != "hub":
        return expanded(config.weights)
    if not isinstance(config, HfConfig):
        assert config.published is not None
        return config.published.repository
    assert config.model is not None  # the config refused it
    return model_folder(config) or config.model  # a folder is its own hub


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors, of any shape, under the names of transformers 5."""
    out = {}
    for name, tensor in tensors.items():
        for pattern, new in _RENAMED:
            name = pattern.sub(new, name)
        out[name] = tensor
    return out
