"""Pixels against timm's own evaluation transform, and the statistics against timm's tables."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from PIL import Image
from timm.data import create_transform
from timm.models import get_pretrained_cfg

from cobra_kit.interfaces import TokenShape
from cobra_kit_timm.config import DinoSiglipTinyConfig
from cobra_kit_timm.dinosiglip import DinoSiglipEncoder
from cobra_kit_timm.families import DINOV2, SIGLIP, Family
from cobra_kit_timm.preprocess import TowerPixels

FAMILIES = [SIGLIP, DINOV2]


def noise_image(width: int, height: int) -> Image.Image:
    red = Image.linear_gradient("L").resize((width, height))
    green = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.effect_noise((width, height), 60)))


def prepare(family: Family, pixels: tuple[int, int], how: Literal["naive", "crop", "letterbox"]) -> TowerPixels:
    return TowerPixels((family,), pixels, how, TokenShape(1))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_statistics_are_timms(family: Family) -> None:
    published = get_pretrained_cfg(f"{family.timm_name}.{family.tag}")
    assert (published.mean, published.std) == (family.mean, family.std)
    assert published.interpolation == family.interpolation


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
@pytest.mark.parametrize(("how", "crop_mode"), [("naive", "squash"), ("crop", "center")])
@pytest.mark.parametrize("size", [(640, 480), (300, 451), (100, 90), (384, 384)])
def test_pixels_equal_timms_transform(
    family: Family, how: Literal["naive", "crop"], crop_mode: str, size: tuple[int, int]
) -> None:
    published = get_pretrained_cfg(family.timm_name)
    transform = create_transform(
        (3, 384, 384),
        interpolation=published.interpolation,
        mean=published.mean,
        std=published.std,
        crop_pct=1.0,
        crop_mode=crop_mode,
    )
    image = noise_image(*size)
    got = prepare(family, (384, 384), how)(image).tensors[family.key]
    torch.testing.assert_close(got, transform(image), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_letterbox_bars_are_the_towers_mean(family: Family) -> None:
    prepared = prepare(family, (64, 64), "letterbox")(Image.new("RGB", (64, 16), "white"))
    tensor = prepared.tensors[family.key]
    one_level = 1 / 255 / min(family.std)  # the fill is rounded down to 8 bits
    assert tensor[:, :20].abs().max() <= one_level
    assert tensor[:, 44:].abs().max() <= one_level
    assert tensor[:, 28:36].min() > 0.9


def test_each_tower_has_its_own_statistics() -> None:
    prepared = DinoSiglipEncoder.preprocess(DinoSiglipTinyConfig(image_size=(64, 48)))(noise_image(90, 70))
    assert list(prepared.tensors) == ["dino", "siglip"]
    pixels = {}
    for family in FAMILIES:
        tensor = prepared.tensors[family.key]
        assert tensor.shape == (3, 64, 48)
        assert tensor.dtype == torch.float32
        pixels[family.key] = tensor * torch.tensor(family.std)[:, None, None] + torch.tensor(family.mean)[:, None, None]
    torch.testing.assert_close(pixels["dino"], pixels["siglip"], atol=1e-6, rtol=0)
    assert not torch.allclose(prepared.tensors["dino"], prepared.tensors["siglip"])
