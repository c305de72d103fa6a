"""Small models under open_clip's own roof: registered by name and tag, built whole by open_clip for comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor, nn

from cobra_kit_openclip.config import AnyConfig
from cobra_kit_openclip.encoder import OpenClipEncoder
from cobra_kit_openclip.preprocess import KEY

TEXT = {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 2}
MODELS: dict[str, dict[str, Any]] = {
    "small-clip": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 56, "layers": 4, "width": 48, "head_width": 16, "patch_size": 14},
        "text_cfg": TEXT,
    },
    "small-clip-quickgelu": {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 56, "layers": 4, "width": 48, "head_width": 16, "patch_size": 14},
        "text_cfg": TEXT,
    },
    "small-siglip": {
        "embed_dim": 96,
        "custom_text": True,
        "init_logit_bias": -10,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": {**TEXT, "width": 96},
    },
    "small-timm": {
        "embed_dim": 16,
        "custom_text": True,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear"},
        "text_cfg": TEXT,
    },
    "small-convnext": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
        "text_cfg": TEXT,
    },
    "small-resnet": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
        "text_cfg": TEXT,
    },
}
NAMES = ("small-clip", "small-clip-quickgelu", "small-siglip", "small-timm")
HUB = "somebody/small"


@contextmanager
def registered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the small models known to open_clip, each with published weights `test`, until the test ends."""
    from open_clip import factory, pretrained

    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", list(factory._MODEL_CONFIG_PATHS))
    for name, settings in MODELS.items():
        (folder / f"{name}.json").write_text(json.dumps(settings))
        kind = pretrained._slpcfg if "siglip" in name else pretrained._pcfg
        extra = {"quick_gelu": True} if "quickgelu" in name else {}
        monkeypatch.setitem(pretrained._PRETRAINED, name, {"test": kind(hf_hub=f"{HUB}/", **extra)})
    open_clip.add_model_config(folder)
    yield


def whole_model(name: str, **settings: Any) -> nn.Module:
    """open_clip's own model, text tower and all, with values that all matter."""
    torch.manual_seed(4)
    model: nn.Module = open_clip.create_model(name, **settings)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return model.eval()


def penultimate(model: nn.Module, images: Tensor) -> Tensor:
    """What the second-to-last block hands on when open_clip encodes images, prefix tokens cut off by hand."""
    seen: list[Tensor] = []
    trunk = getattr(model.visual, "trunk", None)
    blocks = model.get_submodule("visual.transformer.resblocks" if trunk is None else "visual.trunk.blocks")
    handle = list(blocks.children())[-2].register_forward_hook(lambda _module, _inputs, out: seen.append(out))
    with torch.no_grad():
        model.encode_image(images)  # type: ignore[operator]
    handle.remove()
    return seen[0][:, 1 if trunk is None else trunk.num_prefix_tokens :]


def build(config: AnyConfig, seed: int = 0) -> OpenClipEncoder:
    with torch.device("meta"):
        encoder = OpenClipEncoder(config)
    encoder.to_empty(device="cpu")
    encoder.reset_parameters(torch.Generator().manual_seed(seed))
    encoder.load_pretrained()
    return encoder.eval()


@torch.no_grad()
def tokens_of(encoder: OpenClipEncoder, images: Tensor) -> Tensor:
    shapes = (OpenClipEncoder.max_shape(encoder.config),) * len(images)
    return encoder({KEY: images}, shapes).values
