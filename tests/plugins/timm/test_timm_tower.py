"""One tower: features against timm's own call, shapes, initialisation, sizes."""

from __future__ import annotations

import pytest
import timm
import torch
from rounding import check_same
from timm.data import resolve_model_data_config
from torch import nn

from cobra_kit.errors import PluginError, ShapeError
from cobra_kit_timm.config import LargeSizes, So400mSizes, TinySizes, VitSizes
from cobra_kit_timm.families import DINOV2, SIGLIP, Family
from cobra_kit_timm.initialise import initialise
from cobra_kit_timm.tower import Tower

FAMILIES = [SIGLIP, DINOV2]
# Real patch size, head size and MLP ratio of the full towers, fewer and narrower blocks.
SHRUNKEN: dict[str, VitSizes] = {
    "siglip": So400mSizes(width=144, depth=5, heads=2),
    "dino": LargeSizes(width=128, depth=4, heads=2),
}


def build(family: Family, sizes: VitSizes, pixels: tuple[int, int], seed: int = 0, keep_unused: bool = True) -> Tower:
    with torch.device("meta"):
        tower = Tower(family, sizes, pixels, keep_unused=keep_unused)
    tower.to_empty(device="cpu")
    tower.reset_parameters(torch.Generator().manual_seed(seed))
    return tower.eval()


def loud(tower: Tower) -> Tower:
    """Gives parameters that start at 0, 1 or 1e-5 values that change the output."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return tower


def timm_reference(tower: Tower, sizes: VitSizes) -> nn.Module:
    """timm's own model of the same sizes, with the tower's weights."""
    model: nn.Module = timm.create_model(
        tower.family.timm_name,
        num_classes=0,
        img_size=tower.pixels,
        patch_size=sizes.patch_size,
        embed_dim=sizes.width,
        depth=sizes.depth,
        num_heads=sizes.heads,
        mlp_ratio=sizes.mlp_ratio,
    )
    model.load_state_dict(tower.vit.state_dict(), strict=True)
    return model.eval()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
@pytest.mark.parametrize("shrunken", [False, True], ids=["tiny", "shrunken"])
@torch.no_grad()
def test_features_equal_get_intermediate_layers(family: Family, shrunken: bool) -> None:
    sizes = SHRUNKEN[family.key] if shrunken else TinySizes(stem="patch")  # timm's classes have no other
    pixels = (84, 84) if shrunken else (64, 64)
    tower = loud(build(family, sizes, pixels))
    images = torch.randn(3, 3, *pixels)
    # the authors' call: a set with the index of the second-to-last block
    (expected,) = timm_reference(tower, sizes).get_intermediate_layers(images, n={sizes.depth - 2})  # type: ignore[operator]
    assert expected.shape == (3, tower.grid[0] * tower.grid[1], sizes.width)
    check_same(tower(images), expected)


@pytest.mark.parametrize(("family", "sizes"), [(SIGLIP, So400mSizes()), (DINOV2, LargeSizes())], ids=["siglip", "dino"])
def test_the_full_size_is_timms_own_model_of_the_tag(family: Family, sizes: VitSizes) -> None:
    """timm resolves a model's arguments and its data config from name and tag; ours come from the family."""
    with torch.device("meta"):
        theirs = timm.create_model(f"{family.timm_name}.{family.tag}", pretrained=False, num_classes=0)
        data = resolve_model_data_config(theirs)
        ours = Tower(family, sizes, data["input_size"][1:], keep_unused=True).vit
    assert str(ours) == str(theirs)  # every module, activation and epsilon
    settings = [
        {k: v for k, v in vars(vit).items() if isinstance(v, (bool, int, float, str))} for vit in (ours, theirs)
    ]
    assert settings[0] == settings[1]
    assert len(settings[0]) > 10
    shapes = [{name: tensor.shape for name, tensor in vit.state_dict().items()} for vit in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert (data["mean"], data["std"], data["interpolation"]) == (family.mean, family.std, family.interpolation)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
@torch.no_grad()
def test_the_last_block_does_not_matter(family: Family) -> None:
    tower = loud(build(family, TinySizes(), (64, 64)))
    images = torch.randn(1, 3, 64, 64)
    before = tower(images)
    unused = 0
    for name, parameter in tower.vit.named_parameters():
        if name.startswith(("blocks.2.", "norm.", "attn_pool.")):
            parameter.fill_(torch.nan)
            unused += parameter.numel()
    check_same(tower(images), before)
    assert sum(tower.unused_parameters().values()) == unused
    assert len(tower.blocks()) == 2


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
@torch.no_grad()
def test_without_what_never_runs_a_tower_returns_the_same(family: Family) -> None:
    whole = loud(build(family, TinySizes(), (64, 64)))
    lean = build(family, TinySizes(), (64, 64), keep_unused=False)
    wanted = {name: tensor for name, tensor in whole.state_dict().items() if name in lean.state_dict()}
    lean.load_state_dict(wanted, strict=True)
    images = torch.randn(2, 3, 64, 64)
    check_same(lean(images), whole(images))
    assert sum(lean.unused_parameters().values()) == 0
    sizes = [sum(p.numel() for p in tower.parameters()) for tower in (lean, whole)]
    assert sizes[1] - sizes[0] == sum(whole.unused_parameters().values()) > 0
    assert len(lean.blocks()) == len(whole.blocks())


def test_every_used_parameter_gets_a_gradient() -> None:
    for family in FAMILIES:
        tower = loud(build(family, TinySizes(), (64, 64)))
        tower(torch.randn(2, 3, 64, 64)).square().sum().backward()
        idle = sum(p.numel() for p in tower.parameters() if p.grad is None)
        assert idle == sum(tower.unused_parameters().values())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_reset_fills_everything_and_repeats(family: Family) -> None:
    first, second = (Tower(family, TinySizes(), (64, 64), keep_unused=True) for _ in range(2))
    for tower in (first, second):
        for tensor in (*tower.parameters(), *tower.buffers()):
            tensor.data.fill_(torch.nan)
        tower.reset_parameters(torch.Generator().manual_seed(7))
    for (name, tensor), (_, again) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert torch.isfinite(tensor).all(), name
        assert torch.equal(tensor, again), name
    other = build(family, TinySizes(), (64, 64), seed=8)
    assert not torch.equal(other.vit.get_parameter("pos_embed"), first.vit.get_parameter("pos_embed"))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
@torch.no_grad()
def test_the_scheme_is_timms(family: Family) -> None:
    sizes = TinySizes(width=192)
    torch.manual_seed(0)
    timms = Tower(family, sizes, (64, 64), keep_unused=True)  # timm fills the values itself
    ours = build(family, sizes, (64, 64))
    pairs = zip(timms.named_parameters(), ours.named_parameters(), strict=True)
    for (name, theirs), (_, mine) in pairs:
        spread = float(theirs.std())
        if bool((theirs == theirs.flatten()[0]).all()):
            assert torch.equal(theirs, mine), name
        else:
            assert float(mine.std()) == pytest.approx(spread, rel=6 * theirs.numel() ** -0.5), name
            # a uniform distribution ends at 1.7 deviations, a normal one does not
            assert (float(mine.abs().max()) < 1.9 * spread) == (float(theirs.abs().max()) < 1.9 * spread), name
            assert abs(float(mine.mean())) < 6 * spread * theirs.numel() ** -0.5, name


def test_a_tensor_that_timm_adds_is_named() -> None:
    tower = Tower(SIGLIP, TinySizes(), (64, 64), keep_unused=True)
    tower.vit.register_parameter("surprise", nn.Parameter(torch.zeros(2)))
    tower.vit.get_submodule("blocks.0").register_buffer("table", torch.zeros(2))
    with pytest.raises(PluginError, match=r"cannot initialise: blocks\.0\.table, surprise") as caught:
        initialise(tower.vit, None, layer_scale=None)
    assert "timm==" in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 3, 64, 48), (3, 64, 64), (1, 1, 64, 64)])
def test_other_images_are_refused(shape: tuple[int, ...]) -> None:
    tower = build(SIGLIP, TinySizes(), (64, 64))
    with pytest.raises(ShapeError, match=r"the siglip tower takes images \[k 3 64 64\], not \[") as caught:
        tower(torch.zeros(shape))
    assert "preprocess()" in str(caught.value)


@pytest.mark.parametrize("pixels", [(64, 64), (70, 50)])
@torch.no_grad()
def test_the_convolutional_stem_gives_the_same_grid(pixels: tuple[int, int]) -> None:
    tower = build(SIGLIP, TinySizes(), pixels)
    images = torch.randn(2, 3, *pixels)
    tokens = tower(images)
    assert tokens.shape == (2, (pixels[0] // 8) * (pixels[1] // 8), 96)
    stem = tower.vit.get_submodule("patch_embed.proj")
    marked = images.clone()
    marked[:, :, 40:48, 16:24] += 1.0  # patch row 5, column 2
    changed = (stem(marked) - stem(images)).abs().sum((0, 1))
    assert changed.nonzero().tolist() == [[5, 2], [5, 3], [6, 2], [6, 3]], "its own token and those that overlap it"


def test_halving_needs_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of two, not 14"):
        TinySizes(patch_size=14)
    assert TinySizes(patch_size=14, stem="patch").patch_size == 14
