"""What a component says it would read is what `load_pretrained` asks the hub for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cobra_kit.errors import CobraError
from cobra_kit.interfaces import Component, PretrainedFile
from cobra_kit_mamba import config as mamba
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.mamba2 import Mamba2Backbone
from cobra_kit_mamba.mamba2_config import MambaTwo130mConfig
from cobra_kit_openclip.config import AnyConfig, ClipL336Config
from cobra_kit_openclip.encoder import OpenClipEncoder
from cobra_kit_timm.config import (
    DinoSiglipSo400m384Config,
    DinoSiglipTinyConfig,
    LargeSizes,
    SiglipSo400m384Config,
    SiglipTinyConfig,
    So400mSizes,
)
from cobra_kit_timm.dinosiglip import DinoSiglipEncoder
from cobra_kit_timm.encoder import SiglipEncoder
from cobra_kit_transformer.backbone import GptNeoxBackbone
from cobra_kit_transformer.config import TransformerTinyConfig
from cobra_kit_transformer.hf import HfBackbone
from cobra_kit_transformer.hf_config import Pythia2800mConfig

VIT: dict[str, Any] = {"width": 32, "depth": 2, "heads": 2}
MAMBA: dict[str, Any] = {"d_model": 16, "n_layer": 1}
CLIP = {"model": "ViT-B-32", "pretrained": "openai"}


@pytest.mark.parametrize(
    ("component", "config"),
    [
        (SiglipEncoder, SiglipSo400m384Config(**VIT)),
        (DinoSiglipEncoder, DinoSiglipSo400m384Config(dinov2=LargeSizes(**VIT), siglip=So400mSizes(**VIT))),
        (OpenClipEncoder, AnyConfig(**CLIP)),
        (MambaBackbone, mamba.Mamba130mConfig(**MAMBA)),
        (MambaBackbone, mamba.Mamba7bConfig(**MAMBA)),
        (Mamba2Backbone, MambaTwo130mConfig(**MAMBA, head_dim=16)),
        (HfBackbone, Pythia2800mConfig(settings={"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 64})),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_names_what_it_asks_the_hub_for(
    component: type[Component], config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[PretrainedFile] = []

    def download(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.extend(PretrainedFile(repository, pattern, revision) for pattern in allow_patterns)
        for pattern in allow_patterns:
            (tmp_path / pattern.replace("*", "x")).touch()
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with torch.device("meta"):
        built = component(config)
    # An empty file is no checkpoint; what two towers need is asked for before either is read.
    with pytest.raises(CobraError):
        built.load_pretrained()
    assert component.pretrained_files(config) == tuple(asked)


@pytest.mark.parametrize(
    ("component", "config"),
    [
        (SiglipEncoder, SiglipTinyConfig),
        (OpenClipEncoder, ClipL336Config),
        (MambaBackbone, mamba.Mamba130mConfig),
        (GptNeoxBackbone, TransformerTinyConfig),
        (HfBackbone, Pythia2800mConfig),
    ],
)
def test_a_path_is_a_local_file_and_random_weights_are_none(
    component: type[Component], config: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "w.safetensors")
    assert component.pretrained_files(config(weights=path)) == (PretrainedFile(None, path),)
    assert component.pretrained_files(config(weights="none")) == ()


def test_what_is_packaged_and_what_nobody_published() -> None:
    names = [file.file for file in DinoSiglipEncoder.pretrained_files(DinoSiglipTinyConfig())]
    assert [Path(name).name for name in names] == ["dinov2_tiny.safetensors", "siglip_tiny.safetensors"]
    assert all(Path(name).is_file() for name in names)
    for component, config in (
        (SiglipEncoder, SiglipTinyConfig(weights="hub")),
        (MambaBackbone, mamba.MambaTinyConfig(weights="hub")),
        (GptNeoxBackbone, TransformerTinyConfig(weights="hub")),
        (OpenClipEncoder, AnyConfig(model="ViT-B-32", pretrained=None)),
    ):
        assert component.pretrained_files(config) == ()
