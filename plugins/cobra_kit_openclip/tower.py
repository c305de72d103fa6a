"""open_clip's visual towers: built alone, read at their second-to-last block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from cobra_kit.errors import RecipeError
from cobra_kit.interfaces import TokenShape
from cobra_kit_openclip.config import OpenClipConfig
from cobra_kit_openclip.models import Description, describe


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The names that one kind of tower has for its parts.

    Args:
        width: Channels of a token.
        grid: (rows, columns) of patches.
        depth: Number of blocks.
        blocks: Name of the list of blocks.
        unused: Patterns of the names of parameters that never run where the second-to-last block is taken.
    """

    width: int
    grid: tuple[int, int]
    depth: int
    blocks: str
    unused: tuple[str, ...]

    @property
    def layer(self) -> int:
        """Returns the index of the block whose output is taken."""
        return self.depth - 2

    @property
    def shape(self) -> TokenShape:
        """Returns the token shape of one image."""
        return TokenShape(self.grid[0] * self.grid[1], self.grid)


def pixels_of(config: OpenClipConfig) -> tuple[int, int]:
    """Returns (height, width) of the input, in pixels."""
    if config.image_size is None:
        return describe(config).pixels
    return config.image_size if isinstance(config.image_size, tuple) else (config.image_size, config.image_size)


def anatomy_of(config: OpenClipConfig) -> Anatomy:
    """Returns the parts of a config's tower, which is built without memory for that.

    Raises:
        RecipeError: open_clip has no such model, or it is no vision Transformer of two blocks or more.
    """
    return _anatomy(config.model, config.pretrained, pixels_of(config), type(config))


@cache
def _anatomy(model: str, pretrained: str | None, pixels: tuple[int, int], kind: type[OpenClipConfig]) -> Anatomy:
    config = kind(model=model, pretrained=pretrained, image_size=pixels)
    with torch.device("meta"):
        return dissect(_build(describe(config), pixels), config)


def build_visual(config: OpenClipConfig) -> nn.Module:
    """Returns open_clip's visual tower with random values of open_clip's own scheme; no text tower is built.

    Raises:
        RecipeError: The settings are no tower's; see `anatomy_of`.
    """
    anatomy = anatomy_of(config)
    visual = _build(describe(config), pixels_of(config))
    if not config.keep_unused:
        _prune(visual, anatomy)
    return visual


def dissect(visual: nn.Module, config: OpenClipConfig) -> Anatomy:
    """Returns where a tower's parts are.

    Raises:
        RecipeError: It is no vision Transformer of two blocks or more.
    """
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, VisionTransformer):
        anatomy: Anatomy | None = _clip_anatomy(visual)
    else:
        anatomy = _timm_anatomy(visual.trunk) if isinstance(visual, TimmModel) else None
    where = f"{config.component}: model"
    if anatomy is None:
        kind = type(getattr(visual, "trunk", visual)).__name__
        message = f"{config.model} is a {kind}: it has no second-to-last block of patch tokens"
        hint = "Choose a vision Transformer, such as ViT-B-32, ViT-B-16-SigLIP or EVA02-B-16."
        raise RecipeError(message, where=where, hint=hint)
    if anatomy.depth < 2:
        raise RecipeError(f"{config.model} has {anatomy.depth} block: there is no second-to-last one", where=where)
    return anatomy


def _clip_anatomy(visual: Any) -> Anatomy:
    """Returns the parts of open_clip's own vision Transformer."""
    blocks = "transformer.resblocks"
    depth = len(visual.transformer.resblocks)
    unused = (f"{blocks}.{depth - 1}.*", "ln_post.*", "proj", "attn_pool.*", "attn_pool_contrastive.*")
    return Anatomy(visual.conv1.out_channels, tuple(visual.grid_size), depth, blocks, unused)


def _timm_anatomy(trunk: Any) -> Anatomy | None:
    """Returns the parts of a timm model, or None where it is no vision Transformer."""
    blocks, grid = getattr(trunk, "blocks", None), getattr(getattr(trunk, "patch_embed", None), "grid_size", None)
    if not isinstance(blocks, (nn.Sequential, nn.ModuleList)) or grid is None:
        return None
    heads = ("trunk.norm.*", "trunk.fc_norm.*", "trunk.attn_pool.*", "trunk.head.*", "head.*")
    unused = (f"trunk.blocks.{len(blocks) - 1}.*", *heads)
    return Anatomy(trunk.embed_dim, tuple(grid), len(blocks), "trunk.blocks", unused)


def features(visual: nn.Module, layer: int, images: Tensor) -> Tensor:
    """Returns the patch tokens `[k n width]` of a block: no class or register tokens, no final norm."""
    outputs: dict[str, list[Tensor]] = visual.forward_intermediates(  # type: ignore[operator]  # open_clip has no types
        images, indices=[layer], stop_early=True, intermediates_only=True, output_fmt="NLC"
    )
    return outputs["image_intermediates"][0]


def running_blocks(visual: nn.Module, anatomy: Anatomy) -> Sequence[nn.Module]:
    """Returns the blocks that run; the last one does not."""
    return list(visual.get_submodule(anatomy.blocks).children())[: anatomy.layer + 1]


def _build(description: Description, pixels: tuple[int, int]) -> nn.Module:
    # open_clip's public create_model also builds the text tower and may ask the hub for that one's config.
    from open_clip.model import _build_vision_tower

    settings = {**description.vision, "timm_model_pretrained": False}
    if "timm_model_name" not in settings:
        settings["image_size"] = pixels[0] if pixels[0] == pixels[1] else pixels  # its ResNets take no pair
    visual: nn.Module = _build_vision_tower(description.embed_dim, settings, description.quick_gelu)
    if "timm_model_name" in settings and pixels != getattr(_patches(visual), "img_size", pixels):
        visual.set_input_size(pixels)  # type: ignore[operator]  # open_clip has no types
    return visual


def _patches(visual: nn.Module) -> object:
    return getattr(getattr(visual, "trunk", None), "patch_embed", None)


def _prune(visual: Any, anatomy: Anatomy) -> None:
    trunk = getattr(visual, "trunk", None)
    if trunk is None:
        visual.prune_intermediate_layers([anatomy.layer], prune_norm=True)
        visual.attn_pool = visual.attn_pool_contrastive = None
    else:
        trunk.prune_intermediate_layers([anatomy.layer], prune_norm=True, prune_head=True)
        visual.head = nn.Identity()
