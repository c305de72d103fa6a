"""Parameters counted from the settings against those that timm builds."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from cobra_kit._plugins import default_registry
from cobra_kit_timm.config import LargeSizes, So400mSizes, TinySizes, VitSizes
from cobra_kit_timm.counting import tower_parameters
from cobra_kit_timm.families import DINOV2, SIGLIP, Family
from cobra_kit_timm.tower import Tower

SIZES = [
    TinySizes(),
    TinySizes(stem="patch", mlp_ratio=2.7),
    TinySizes(patch_size=2, width=20, heads=5),
    VitSizes(patch_size=1, width=8, depth=2, heads=1, mlp_ratio=0.3, stem="conv"),
    VitSizes(patch_size=5, width=12, depth=4, heads=4, mlp_ratio=4.0),
    So400mSizes(width=144, heads=2, depth=3),
    LargeSizes(width=64, heads=2, depth=3),
]


@pytest.mark.parametrize("family", [SIGLIP, DINOV2], ids=lambda family: family.key)
@pytest.mark.parametrize("sizes", SIZES, ids=range(len(SIZES)))
def test_counted_is_built(family: Family, sizes: VitSizes) -> None:
    for pixels, keep_unused in product([(64, 64), (70, 33)], [True, False]):
        with torch.device("meta"):
            tower = Tower(family, sizes, pixels, keep_unused=keep_unused)
        built = sum(parameter.numel() for parameter in tower.parameters())
        assert tower_parameters(family, sizes, pixels, keep_unused=keep_unused) == built


@pytest.mark.parametrize("keep_unused", [True, False])
@pytest.mark.parametrize("name", ["siglip/tiny", "dinov2/tiny", "dinosiglip/tiny", "dinosiglip/so400m-384"])
def test_an_encoder_knows_what_it_comes_to(name: str, keep_unused: bool) -> None:
    component = default_registry().get("vision_encoder", name)
    config = component.load_config()(keep_unused=keep_unused)
    cls = component.load_class()
    known = cls.known_sizes(config)  # type: ignore[attr-defined]
    with torch.device("meta"):
        encoder = cls(config)  # type: ignore[call-arg]
    assert known.width == encoder.width
    assert known.parameters == sum(parameter.numel() for parameter in encoder.parameters())
