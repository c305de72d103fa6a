"""The two families of vision Transformer: timm's name and the statistics of their pixels. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cobra_kit.images import Interpolation

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Family:
    """One family of towers.

    Args:
        key: Name of the prepared tensor, as the authors' `pixel_values` name it (PAPER.md 1.2).
        timm_name: The timm model whose settings every size of the family takes (class token, registers,
            layer scale, pooling head); only sizes are replaced.
        tag: timm's name of the published weights.
        mean: Mean of red, green and blue, pixels in 0..1.
        std: Standard deviation of red, green and blue.
        interpolation: The filter that resizes images.
        layer_scale: Value that timm's layer scales start with (`init_values`); None where there are none.
        prefix_tokens: Class and register tokens; they have no positions.
        pooling_head: Whether an attention pools the tokens (`attn_pool`).
    """

    key: str
    timm_name: str
    tag: str
    mean: Channels
    std: Channels
    interpolation: Interpolation = "bicubic"
    layer_scale: float | None = None
    prefix_tokens: int = 0
    pooling_head: bool = False


# Names: cobra/models/backbones/vision/dinosiglip_vit.py at 4b81082. Statistics and bicubic resizing: the `mean`, `std`
# and `interpolation` of timm 1.0.31's default_cfgs for `.webli` and `.lvd142m`; a test compares them with timm's.
# By which rule SigLIP and DINOv2 resize is no property of a family but the setting `resize` (`config.EncoderConfig`):
# naive by default, which is Cobra's `resize-naive` (PAPER.md 1.2).
SIGLIP = Family("siglip", "vit_so400m_patch14_siglip_384", "webli", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), pooling_head=True)
DINOV2 = Family(
    "dino",
    "vit_large_patch14_reg4_dinov2",
    "lvd142m",
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
    layer_scale=1e-5,
    prefix_tokens=5,
)
