"""Every (model, tag) that open_clip publishes: what has two sources is resolved as in open_clip's own models."""

from __future__ import annotations

import warnings
from typing import Any

import open_clip
import pytest
import torch
from torch import nn

from cobra_kit_openclip.config import AnyConfig
from cobra_kit_openclip.encoder import OpenClipEncoder
from cobra_kit_openclip.models import describe

PAIRS = [tuple(pair) for pair in open_clip.list_pretrained()]


class Settings(nn.Module):
    """Stands for open_clip's model classes and keeps what `create_model` hands them; no tower is built."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings
        self.visual = nn.Module()
        self.visual.image_size = settings["vision_cfg"].get("image_size", 224)


@pytest.fixture
def open_clip_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `open_clip.create_model` run its own road of settings and stop before towers and weights."""
    from open_clip import factory

    for name in ("CLIP", "CustomTextCLIP", "CoCa"):
        monkeypatch.setattr(factory, name, Settings)
    monkeypatch.setattr(factory, "download_pretrained", lambda *_, **__: "weights")
    monkeypatch.setattr(factory, "load_checkpoint", lambda *_, **__: None)


def theirs(model: str, tag: str) -> Settings:
    """open_clip's own model of a pair; where it warns that the weights want QuickGELU, with QuickGELU."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        built: Any = open_clip.create_model(model, pretrained=tag)
    wants = any("(quick_gelu=True)" in str(warning.message).partition("pretrained tag")[2] for warning in heard)
    return open_clip.create_model(model, pretrained=tag, force_quick_gelu=True) if wants else built


def test_there_are_pairs_of_every_kind() -> None:
    answers = {
        (
            open_clip.get_pretrained_cfg(model, tag).get("quick_gelu"),
            open_clip.get_model_config(model).get("quick_gelu"),
        )
        for model, tag in PAIRS
    }
    assert answers == {(True, None), (None, None), (None, True), (True, True)}


@pytest.mark.filterwarnings("ignore:QuickGELU mismatch")
def test_every_pair_has_the_settings_of_open_clip_s_own_model(open_clip_without_weights: None) -> None:
    wrong = []
    for model, tag in PAIRS:
        config = AnyConfig(model=model, pretrained=tag)
        mine, model_of_theirs = describe(config), theirs(model, tag)
        prepared: dict[str, Any] = model_of_theirs.visual.preprocess_cfg  # type: ignore[assignment]
        size = prepared["size"]
        expected = {
            "quick_gelu": model_of_theirs.settings.get("quick_gelu", False),
            "mean": tuple(prepared["mean"]),
            "std": tuple(prepared["std"]),
            "interpolation": prepared["interpolation"],
            "resize_mode": prepared["resize_mode"],
            "pixels": tuple(size) if isinstance(size, (list, tuple)) else (size, size),
            "embed_dim": model_of_theirs.settings["embed_dim"],
            "vision": {k: v for k, v in model_of_theirs.settings["vision_cfg"].items() if k != "timm_model_pretrained"},
        }
        got = {name: getattr(mine, name) for name in expected}
        got["vision"] = {k: v for k, v in mine.vision.items() if k != "timm_model_pretrained"}
        wrong += [(model, tag, name, got[name], expected[name]) for name in expected if got[name] != expected[name]]
    assert len(PAIRS) >= 196
    assert wrong == []


@pytest.mark.parametrize(
    ("model", "tag", "activation"),
    [
        ("roberta-ViT-B-32", "laion2b_s12b_b32k", "QuickGELU"),  # the model's config alone says so
        ("ViT-B-32", "openai", "QuickGELU"),  # the tag alone says so
        ("ViT-B-32-quickgelu", "openai", "QuickGELU"),
        ("ViT-B-32", "laion2b_s34b_b79k", "GELU"),
        ("roberta-ViT-B-32", None, "QuickGELU"),
    ],
)
def test_the_blocks_have_that_activation(model: str, tag: str | None, activation: str) -> None:
    with torch.device("meta"):
        encoder = OpenClipEncoder(AnyConfig(model=model, pretrained=tag, weights="none"))
    kinds = {type(module).__name__ for module in encoder.modules() if type(module).__name__.endswith("GELU")}
    assert kinds == {activation}


def test_what_a_tag_leaves_open_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip skips a None of a tag when it merges."""
    from open_clip import pretrained

    tag = {**open_clip.get_pretrained_cfg("ViT-B-32", "openai"), "mean": None, "resize_mode": None}
    monkeypatch.setitem(pretrained._PRETRAINED["ViT-B-32"], "open", tag)
    description = describe(AnyConfig(model="ViT-B-32", pretrained="open"))
    assert description.mean == (0.48145466, 0.4578275, 0.40821073)
    assert description.resize_mode == "shortest"
