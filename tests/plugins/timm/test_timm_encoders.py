"""The encoders as the core sees them: tiny ones run, full-size ones on the meta device."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from rounding import check_same

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import TokenShape, VisionEncoder
from cobra_kit_timm.config import (
    DinoSiglipSo400m384Config,
    DinoSiglipTinyConfig,
    Dinov2Large384Config,
    Dinov2TinyConfig,
    EncoderConfig,
    SiglipSo400m384Config,
    SiglipTinyConfig,
    TinySizes,
)
from cobra_kit_timm.dinosiglip import DinoSiglipEncoder
from cobra_kit_timm.encoder import Dinov2Encoder, SiglipEncoder
from cobra_kit_timm.tower import Tower

TINY: list[tuple[type[VisionEncoder], type[EncoderConfig]]] = [
    (SiglipEncoder, SiglipTinyConfig),
    (Dinov2Encoder, Dinov2TinyConfig),
    (DinoSiglipEncoder, DinoSiglipTinyConfig),
]
tiny = pytest.mark.parametrize(("encoder_class", "config_class"), TINY, ids=lambda value: value.__name__)


def build(encoder_class: type[VisionEncoder], config: EncoderConfig, seed: int = 0) -> VisionEncoder:
    with torch.device("meta"):
        encoder = encoder_class(config)
    encoder.to_empty(device="cpu")
    encoder.reset_parameters(torch.Generator().manual_seed(seed))
    encoder.load_pretrained()
    return encoder.eval()


def noise_images(count: int) -> list[Image.Image]:
    return [Image.effect_noise((90 + 7 * i, 60 + 5 * i), 90).convert("RGB") for i in range(count)]


def batch(encoder: VisionEncoder, config: EncoderConfig, images: list[Image.Image]) -> dict[str, Any]:
    prepared = [type(encoder).preprocess(config)(image) for image in images]
    tensors = {key: torch.stack([item.tensors[key] for item in prepared]) for key in prepared[0].tensors}
    return {"images": tensors, "shapes": tuple(item.shape for item in prepared)}


@tiny
@torch.no_grad()
def test_tokens_have_the_announced_shape(encoder_class: type[VisionEncoder], config_class: type[EncoderConfig]) -> None:
    config = config_class()
    encoder = build(encoder_class, config)
    out = encoder(**batch(encoder, config, noise_images(2)))
    assert out.shapes == (TokenShape(64, (8, 8)),) * 2 == (encoder_class.max_shape(config),) * 2
    assert out.values.shape == (2, 64, encoder.width)
    assert encoder.width == (192 if encoder_class is DinoSiglipEncoder else 96)


@tiny
@torch.no_grad()
def test_a_batch_equals_its_images(encoder_class: type[VisionEncoder], config_class: type[EncoderConfig]) -> None:
    config = config_class()
    encoder = build(encoder_class, config)
    images = noise_images(5)
    together = encoder(**batch(encoder, config, images)).values
    alone = torch.cat([encoder(**batch(encoder, config, [image])).values for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


@tiny
@pytest.mark.parametrize(("size", "grid"), [([64, 48], (8, 6)), ([48, 64], (6, 8)), (70, (8, 8)), (32, (4, 4))])
@torch.no_grad()
def test_image_sizes(
    encoder_class: type[VisionEncoder], config_class: type[EncoderConfig], size: Any, grid: tuple[int, int]
) -> None:
    config = config_class.model_validate({"image_size": size})
    encoder = build(encoder_class, config)
    out = encoder(**batch(encoder, config, noise_images(1)))
    assert out.shapes == (TokenShape(grid[0] * grid[1], grid),)
    assert out.values.shape == (1, grid[0] * grid[1], encoder.width)


@torch.no_grad()
def test_tokens_are_row_major() -> None:
    config = SiglipTinyConfig(image_size=(64, 48), stem="patch", weights="none")
    encoder = build(SiglipEncoder, config)
    images = torch.zeros(1, 3, 64, 48)
    marked = images.clone()
    marked[:, :, 16:24, 40:48] = 1.0  # patch row 2, column 5 of 8 x 6
    vit = encoder.get_submodule("tower.vit.patch_embed")
    changed = (vit(marked) - vit(images)).abs().sum(-1).squeeze(0)
    assert changed.nonzero().flatten().tolist() == [2 * 6 + 5]


@torch.no_grad()
def test_dinov2_comes_first() -> None:
    config = DinoSiglipTinyConfig(dinov2=TinySizes(width=48), weights="none")
    encoder = build(DinoSiglipEncoder, config)
    inputs = batch(encoder, config, noise_images(2))
    out = encoder(**inputs).values
    check_same(out[..., :48], encoder.get_submodule("dinov2")(inputs["images"]["dino"]))
    check_same(out[..., 48:], encoder.get_submodule("siglip")(inputs["images"]["siglip"]))


def test_unequal_grids_are_refused_by_name() -> None:
    config = DinoSiglipTinyConfig(siglip=TinySizes(patch_size=16))
    message = r"grids differ on 64 x 64 pixels: dinov2 8 x 8 \(patch 8\), siglip 4 x 4 \(patch 16\)"
    for refuse in (DinoSiglipEncoder, DinoSiglipEncoder.max_shape, DinoSiglipEncoder.preprocess):
        with pytest.raises(ShapeError, match=message) as caught:
            refuse(config)
        assert "one patch_size" in str(caught.value)


@pytest.mark.parametrize(
    ("encoder_class", "config", "width", "parameters", "used"),
    [
        (SiglipEncoder, SiglipSo400m384Config(), 1152, 428_225_600, 397_745_440),
        (Dinov2Encoder, Dinov2Large384Config(), 1024, 303_715_328, 291_115_008),
        (DinoSiglipEncoder, DinoSiglipSo400m384Config(), 2176, 731_940_928, 688_860_448),
        # DINOv2 at its native size, the count that its model card rounds to 304.4 M
        (Dinov2Encoder, Dinov2Large384Config(image_size=518), 1024, 304_370_688, 291_770_368),
    ],
    ids=["siglip", "dinov2", "dinosiglip", "dinov2-518"],
)
def test_full_size_on_meta(
    encoder_class: type[VisionEncoder], config: EncoderConfig, width: int, parameters: int, used: int
) -> None:
    with torch.device("meta"):
        encoder = encoder_class(config)
    assert encoder.width == width
    tokens = 729 if config.image_size == 384 else 1369
    assert encoder_class.max_shape(config) == TokenShape(tokens, (27, 27) if tokens == 729 else (37, 37))
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    towers = [module for module in encoder.modules() if isinstance(module, Tower)]
    assert parameters - sum(encoder.unused_parameters().values()) == used
    with torch.device("meta"):
        lean = encoder_class(config.model_copy(update={"keep_unused": False}))
    assert sum(p.numel() for p in lean.parameters()) == used
    blocks = {"siglip": 27, "dino": 24}
    for tower in towers:
        assert len(list(tower.vit.get_submodule("blocks").children())) == blocks[tower.family.key]
        assert tower.layer == blocks[tower.family.key] - 2
    pixels = torch.empty(1, 3, *config.pixels, device="meta")
    shape = encoder_class.max_shape(config)
    out = encoder({"dino": pixels, "siglip": pixels}, (shape,))
    assert out.values.shape == (1, tokens, width)
    assert len(encoder.blocks()) == sum(blocks[tower.family.key] - 1 for tower in towers)


def test_full_size_heads() -> None:
    with torch.device("meta"):
        encoder = DinoSiglipEncoder(DinoSiglipSo400m384Config())
    assert encoder.siglip.unused_parameters() == {"last_block": 15_241_808, "pooling_head": 15_238_352}
    assert encoder.dinov2.unused_parameters() == {"last_block": 12_600_320, "pooling_head": 0}
    assert encoder.unused_parameters() == {"last_block": 27_842_128, "pooling_head": 15_238_352}


def test_the_two_totals_of_cobra_3b() -> None:
    """3,548 M and 3,533 M: the second leaves out SigLIP's pooling head alone."""
    with torch.device("meta"):
        encoder = DinoSiglipEncoder(DinoSiglipSo400m384Config())
    total = sum(p.numel() for p in encoder.parameters()) + 47_789_568 + 2_768_345_600
    assert total == 3_548_076_096
    assert total - encoder.unused_parameters()["pooling_head"] == 3_532_837_744


@tiny
def test_reset_fills_everything_at_random(
    encoder_class: type[VisionEncoder], config_class: type[EncoderConfig]
) -> None:
    config = config_class(weights="none")
    encoder = encoder_class(config)
    for tensor in (*encoder.parameters(), *encoder.buffers()):
        tensor.data.fill_(torch.nan)
    encoder.reset_parameters(torch.Generator().manual_seed(0))
    again = build(encoder_class, config)
    for name, value in encoder.state_dict().items():
        assert torch.isfinite(value).all(), name
        assert torch.equal(value, again.state_dict()[name]), name


@tiny
def test_configs_and_preparation_are_picklable(
    encoder_class: type[VisionEncoder], config_class: type[EncoderConfig]
) -> None:
    config = config_class()
    assert pickle.loads(pickle.dumps(config)) == config
    prepare = encoder_class.preprocess(config)
    copy = pickle.loads(pickle.dumps(prepare))
    image = noise_images(1)[0]
    first, second = prepare(image), copy(image)
    assert first.shape == second.shape
    assert all(torch.equal(first.tensors[key], second.tensors[key]) for key in first.tensors)


@tiny
def test_wrong_inputs_are_named(encoder_class: type[VisionEncoder], config_class: type[EncoderConfig]) -> None:
    config = config_class()
    encoder = build(encoder_class, config)
    inputs = batch(encoder, config, noise_images(2))
    with pytest.raises(ShapeError, match=r"no images for the tower .*: got left"):
        encoder({"left": torch.zeros(1, 3, 64, 64)}, inputs["shapes"])
    with pytest.raises(ShapeError, match="1 shapes for 2 images"):
        encoder(inputs["images"], inputs["shapes"][:1])
    with pytest.raises(ShapeError, match=r"returns TokenShape\(num_tokens=64.* announces TokenShape\(num_tokens=63"):
        encoder(inputs["images"], (TokenShape(63),) * 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 100}, "heads 3 do not divide width 100"),
        ({"depth": 1}, "greater than or equal to 2"),
        ({"image_size": 7}, "7 x 7 pixels holds no patch of 8 pixels"),
        ({"image_size": [64, 0]}, "greater than 0"),
        ({"resize": "squash"}, "'naive', 'crop' or 'letterbox'"),
        ({"imagesize": 64}, "Extra inputs are not permitted"),
    ],
)
def test_bad_configs(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SiglipTinyConfig.model_validate(values)


@pytest.mark.parametrize(
    ("encoder_class", "config_class"),
    [
        (SiglipEncoder, SiglipSo400m384Config),
        (Dinov2Encoder, Dinov2Large384Config),
        (DinoSiglipEncoder, DinoSiglipSo400m384Config),
    ],
)
def test_tiny_of_a_full_size_config_is_small(
    encoder_class: type[VisionEncoder], config_class: type[EncoderConfig]
) -> None:
    encoder = build(encoder_class, config_class.tiny())
    assert sum(p.numel() for p in encoder.parameters()) < 1_000_000
    assert config_class().weights == "hub"
