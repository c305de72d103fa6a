"""One timm vision Transformer, read at its second-to-last block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cobra_kit.errors import ShapeError
from cobra_kit_timm.config import VitSizes
from cobra_kit_timm.families import Family
from cobra_kit_timm.initialise import initialise
from cobra_kit_timm.stem import ConvStem


class Tower(nn.Module):
    """Pixels `[k 3 h w]` -> patch tokens `[k n width]` of the penultimate block.

    As in the authors' code, prefix tokens (class token, registers) are dropped and the final norm is not applied
    (PAPER.md 1.1). The last block, the final norm and SigLIP's pooling head are never run; `unused_parameters` counts
    them. With `keep_unused` they stay in the module, as in the authors' code.

    Args:
        family: Whose settings to take from timm.
        sizes: The sizes to take instead of timm's.
        pixels: (height, width) of the input.
        keep_unused: Whether to build what never runs.

    Attributes:
        vit: timm's `VisionTransformer`; its names are those of timm's checkpoints.
        grid: (rows, columns) of patches.
        layer: Index of the block whose output is taken.
    """

    def __init__(self, family: Family, sizes: VitSizes, pixels: tuple[int, int], *, keep_unused: bool) -> None:
        import timm

        super().__init__()
        self.family = family
        self.pixels = pixels
        self.grid = (pixels[0] // sizes.patch_size, pixels[1] // sizes.patch_size)
        self.layer = sizes.depth - 2
        self.vit: nn.Module = timm.create_model(
            family.timm_name,
            pretrained=False,
            num_classes=0,
            img_size=pixels,
            patch_size=sizes.patch_size,
            embed_dim=sizes.width,
            depth=sizes.depth,
            num_heads=sizes.heads,
            mlp_ratio=sizes.mlp_ratio,
        )
        if sizes.stem == "conv":
            self.vit.get_submodule("patch_embed").proj = ConvStem(sizes)
        if not keep_unused:
            self.vit.prune_intermediate_layers([self.layer], prune_norm=True)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills the tower after timm's scheme, see `initialise`."""
        initialise(self.vit, generator, layer_scale=self.family.layer_scale)

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the blocks that run; the last one does not."""
        return list(self.vit.get_submodule("blocks").children())[: self.layer + 1]

    def unused_parameters(self) -> dict[str, int]:
        """Returns how many parameters never run: `last_block` (with the final norm) and `pooling_head`."""
        sizes = {name: parameter.numel() for name, parameter in self.vit.named_parameters()}
        groups = {"last_block": (self._last_block(), "norm."), "pooling_head": ("attn_pool.",)}
        return {
            group: sum(size for name, size in sizes.items() if name.startswith(prefixes))
            for group, prefixes in groups.items()
        }

    def unused_names(self) -> list[str]:
        """Returns patterns of the names, within `vit`, of parameters that never run."""
        return [f"{self._last_block()}*", "norm.*", "attn_pool.*"]

    def forward(self, images: Tensor) -> Tensor:
        """Returns the patch tokens `[k n width]` of images `[k 3 h w]` of the tower's size.

        Raises:
            ShapeError: The images have another shape.
        """
        expected = (3, *self.pixels)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ShapeError(
                f"the {self.family.key} tower takes images [k {' '.join(map(str, expected))}], "
                f"not {list(images.shape)}",
                hint="Prepare the images with this encoder's own preprocess().",
            )
        weight = self.vit.get_parameter("pos_embed")
        features: list[Tensor] = self.vit.forward_intermediates(  # type: ignore[operator]  # timm has no types
            images.to(weight.dtype),
            indices=[self.layer],
            norm=False,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        return features[0]

    def _last_block(self) -> str:
        return f"blocks.{self.layer + 1}."
