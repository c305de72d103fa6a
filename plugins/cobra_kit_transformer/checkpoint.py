"""Published weights into a backbone: from the hub, a folder or a file, under old and new names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from cobra_kit.files import expanded
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
    if config.weights != "hub":
        return expanded(config.weights)
    if isinstance(config, HfConfig):
        folder = model_folder(config)
        if folder is not None:
            return folder  # a folder is its own hub
        assert config.model is not None  # the config refused it
        repository = config.model
    else:
        assert config.published is not None
        repository = config.published.repository
    where = f"{source_of(config)}: weights: hub"
    folder = hub_folder(repository, patterns=(*_SAFE, *_SMALL), where=where)
    if any((folder / name).is_file() for name in FILE_NAMES):
        return folder  # a repository that has both forms is not fetched twice
    return hub_folder(repository, patterns=(*_PICKLED, *_SMALL), where=where)


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors under the names of transformers 5."""
    out = {}
    for name, tensor in tensors.items():
        for pattern, new in _RENAMED:
            name = pattern.sub(new, name)
        out[name] = tensor
    return out
