"""Weights of the towers: of the hub (a filled cache stands for it), of files and folders, and those that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from fake_hub import fill_cache, use_cache
from rounding import check_same
from safetensors.torch import save, save_file
from torch import nn

from cobra_kit.errors import WeightsError
from cobra_kit.interfaces import VisionEncoder
from cobra_kit.weights import save_tensors
from cobra_kit_timm.config import (
    DinoSiglipSo400m384Config,
    DinoSiglipTinyConfig,
    Dinov2Large384Config,
    Dinov2TinyConfig,
    EncoderConfig,
    LargeSizes,
    SiglipSo400m384Config,
    SiglipTinyConfig,
    So400mSizes,
)
from cobra_kit_timm.dinosiglip import DinoSiglipEncoder
from cobra_kit_timm.encoder import Dinov2Encoder, SiglipEncoder
from cobra_kit_timm.families import DINOV2, SIGLIP
from cobra_kit_timm.sources import hub_repository

SIGLIP_HUB = "timm/vit_so400m_patch14_siglip_384.webli"
DINOV2_HUB = "timm/vit_large_patch14_reg4_dinov2.lvd142m"
SMALL = {"width": 24, "depth": 3, "heads": 2}  # the published patch size, heads, registers and image sizes


def build(encoder_class: type[VisionEncoder], config: EncoderConfig, seed: int = 0) -> VisionEncoder:
    with torch.device("meta"):
        encoder = encoder_class(config)
    encoder.to_empty(device="cpu")
    encoder.reset_parameters(torch.Generator().manual_seed(seed))
    encoder.load_pretrained()
    return encoder.eval()


def published(name: str, image_size: int) -> nn.Module:
    """timm's model as the hub has it, but narrow and shallow, with values that all matter."""
    torch.manual_seed(3)
    model: nn.Module = timm.create_model(name, num_classes=0, img_size=image_size, embed_dim=24, depth=3, num_heads=2)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with both published checkpoints, at their native image sizes."""
    use_cache(monkeypatch, tmp_path / "cache")
    for repository, name, size in ((SIGLIP_HUB, SIGLIP.timm_name, 384), (DINOV2_HUB, DINOV2.timm_name, 518)):
        state = published(name, size).state_dict()
        fill_cache(tmp_path / "cache", repository, {"model.safetensors": save(state), "config.json": b"{}"})
    return tmp_path / "cache"


def test_the_repositories_are_those_of_timms_table() -> None:
    assert hub_repository(SIGLIP) == SIGLIP_HUB
    assert hub_repository(DINOV2) == DINOV2_HUB


@torch.no_grad()
def test_the_published_weights_run_as_in_timm(hub: Path) -> None:
    """DINOv2's positions are resampled from 518 px (37 x 37) to 384 px (27 x 27), by timm itself for the comparison."""
    sizes = {"dinov2": LargeSizes(**SMALL), "siglip": So400mSizes(**SMALL)}
    encoder = build(DinoSiglipEncoder, DinoSiglipSo400m384Config(**sizes))
    dino, siglip = published(DINOV2.timm_name, 518), published(SIGLIP.timm_name, 384)
    dino.set_input_size((384, 384))  # type: ignore[operator]
    images = {"dino": torch.randn(1, 3, 384, 384), "siglip": torch.randn(1, 3, 384, 384)}
    expected = [
        dino.get_intermediate_layers(images["dino"], n={1})[0],  # type: ignore[operator]
        siglip.get_intermediate_layers(images["siglip"], n={1})[0],  # type: ignore[operator]
    ]
    tokens = encoder(images, (DinoSiglipEncoder.max_shape(encoder.config),)).values
    assert tokens.shape == (1, 729, 48)
    check_same(tokens, torch.cat(expected, dim=-1))


def test_positions_equal_timms_own_loading(hub: Path) -> None:
    """The path that `timm.create_model(pretrained=True, img_size=384)` takes: its filter of checkpoints."""
    from timm.models.vision_transformer import checkpoint_filter_fn

    encoder = build(Dinov2Encoder, Dinov2Large384Config(**SMALL))
    target = timm.create_model(DINOV2.timm_name, num_classes=0, img_size=384, embed_dim=24, depth=3, num_heads=2)
    loaded = checkpoint_filter_fn(published(DINOV2.timm_name, 518).state_dict(), target)
    assert loaded["pos_embed"].shape == (1, 729, 24)
    check_same(encoder.get_parameter("tower.vit.pos_embed"), loaded["pos_embed"])


@pytest.mark.parametrize("keep_unused", [True, False])
def test_the_published_weights_of_one_tower(hub: Path, keep_unused: bool) -> None:
    config = SiglipSo400m384Config(**SMALL, keep_unused=keep_unused)
    encoder = build(SiglipEncoder, config)
    state = published(SIGLIP.timm_name, 384).state_dict()
    for name, value in encoder.get_submodule("tower.vit").state_dict().items():
        assert torch.equal(value, state[name]), name
    assert (len(encoder.state_dict()) == len(state)) == keep_unused


@pytest.mark.parametrize(
    ("encoder_class", "config", "wanted"),
    [
        (SiglipEncoder, SiglipSo400m384Config(**SMALL), SIGLIP_HUB),
        (Dinov2Encoder, Dinov2Large384Config(**SMALL), DINOV2_HUB),
        (DinoSiglipEncoder, DinoSiglipSo400m384Config(dinov2=LargeSizes(**SMALL)), DINOV2_HUB),
    ],
)
def test_without_a_network_the_error_says_what_was_wanted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoder_class: type[VisionEncoder],
    config: EncoderConfig,
    wanted: str,
) -> None:
    use_cache(monkeypatch, tmp_path)
    with torch.device("meta"):
        encoder = encoder_class(config)
    with pytest.raises(
        WeightsError,
        match=rf"^{config.component}: weights: hub: wanted model\.safetensors of the hub repository {wanted},",
    ) as caught:
        encoder.load_pretrained()
    assert "weights: PATH/vit_" in str(caught.value)


@pytest.mark.parametrize("config", [SiglipTinyConfig(weights="hub"), DinoSiglipTinyConfig(weights="hub")])
def test_tiny_encoders_have_none_on_the_hub(config: EncoderConfig) -> None:
    encoder = SiglipEncoder(config) if isinstance(config, SiglipTinyConfig) else DinoSiglipEncoder(config)
    with pytest.raises(WeightsError, match=r"weights: hub: no weights of the tiny encoders are published\n +Use"):
        encoder.load_pretrained()


def test_the_folders_of_both_repositories_side_by_side(tmp_path: Path) -> None:
    for repository, name, size in ((SIGLIP_HUB, SIGLIP.timm_name, 384), (DINOV2_HUB, DINOV2.timm_name, 518)):
        folder = tmp_path / repository.partition("/")[2]
        folder.mkdir()
        save_file(published(name, size).state_dict(), folder / "model.safetensors")
    sizes = {"dinov2": LargeSizes(**SMALL), "siglip": So400mSizes(**SMALL)}
    encoder = build(DinoSiglipEncoder, DinoSiglipSo400m384Config(**sizes, weights=str(tmp_path)))
    expected = published(SIGLIP.timm_name, 384).get_parameter("pos_embed")
    assert torch.equal(encoder.get_parameter("siglip.vit.pos_embed"), expected)
    (tmp_path / DINOV2_HUB.partition("/")[2]).rename(tmp_path / "other")
    with pytest.raises(WeightsError, match=r"holds no weights of dinov2\n +Looked for dinov2\.safetensors, dinov2, v"):
        build(DinoSiglipEncoder, DinoSiglipSo400m384Config(**sizes, weights=str(tmp_path)))


def test_weights_from_files(tmp_path: Path) -> None:
    source = build(DinoSiglipEncoder, DinoSiglipTinyConfig(weights="none"), seed=5)
    save_tensors(tmp_path / "dinov2.safetensors", source.get_submodule("dinov2.vit").state_dict())
    save_tensors(tmp_path / "siglip.safetensors", source.get_submodule("siglip.vit").state_dict())
    both = build(DinoSiglipEncoder, DinoSiglipTinyConfig(weights=str(tmp_path)))
    for name, value in source.state_dict().items():
        assert torch.equal(value, both.state_dict()[name]), name
    single = build(SiglipEncoder, SiglipTinyConfig(weights=str(tmp_path / "siglip.safetensors")))
    assert torch.equal(single.get_parameter("tower.vit.pos_embed"), source.get_parameter("siglip.vit.pos_embed"))


def test_positions_are_resampled_as_timm_does(tmp_path: Path) -> None:
    """The published DINOv2 is made for 518 px: 37 x 37 positions, used here as 27 x 27."""
    native = build(Dinov2Encoder, Dinov2TinyConfig(image_size=96, stem="patch", weights="none"), seed=5)
    state = native.get_submodule("tower.vit").state_dict()
    save_tensors(tmp_path / "native.safetensors", state)
    config = Dinov2TinyConfig(image_size=(64, 48), stem="patch", weights=str(tmp_path / "native.safetensors"))
    encoder = build(Dinov2Encoder, config)
    reference = timm.create_model(
        "vit_large_patch14_reg4_dinov2",
        num_classes=0,
        img_size=96,
        patch_size=8,
        embed_dim=96,
        depth=3,
        num_heads=3,
        mlp_ratio=3.0,
    )
    reference.load_state_dict(state)
    reference.set_input_size((64, 48))
    check_same(encoder.get_parameter("tower.vit.pos_embed"), reference.pos_embed)


def test_weights_in_either_form_without_what_never_runs(tmp_path: Path) -> None:
    """`cobra-kit pretrain` writes the encoder's own names and leaves out what never runs."""
    source = build(SiglipEncoder, SiglipTinyConfig(weights="none"), seed=5)
    idle = ("blocks.2.", "norm.", "attn_pool.")
    state = {
        name: value.half()
        for name, value in source.state_dict().items()
        if not name.removeprefix("tower.vit.").startswith(idle)
    }
    assert 0 < len(state) < len(source.state_dict())
    save_tensors(tmp_path / "own.safetensors", state)
    loaded = build(SiglipEncoder, SiglipTinyConfig(weights=str(tmp_path / "own.safetensors")))
    for name, value in state.items():
        assert torch.equal(loaded.state_dict()[name], value.float()), name


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such checkpoint"):
        build(SiglipEncoder, SiglipTinyConfig(weights=str(tmp_path / "gone.safetensors")))
    with pytest.raises(WeightsError, match="come from a folder"):
        build(DinoSiglipEncoder, DinoSiglipTinyConfig(weights=str(tmp_path / "gone")))
    state = build(SiglipEncoder, SiglipTinyConfig()).get_submodule("tower.vit").state_dict()
    state["surplus"] = torch.zeros(1)
    state["norm.bias"] = torch.zeros(5)
    del state["blocks.0.norm1.weight"]
    state["pos_embed"] = torch.zeros(1, 63, 96)
    save_tensors(tmp_path / "bad.safetensors", state)
    with pytest.raises(WeightsError) as caught:
        build(SiglipEncoder, SiglipTinyConfig(weights=str(tmp_path / "bad.safetensors")))
    for name in ("surplus", "norm.bias", "blocks.0.norm1.weight", "pos_embed"):
        assert name in str(caught.value)
