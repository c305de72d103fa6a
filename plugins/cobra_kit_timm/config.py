"""Settings of the timm encoders. No torch here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from cobra_kit.config import ComponentConfig

# The fields that a subclass overrides carry their description in the type, so that it is inherited with it.
PatchSize = Annotated[
    PositiveInt,
    Field(
        description="Side of a square patch, in pixels; pixels that fill no whole patch are dropped, right and below."
    ),
]
Width = Annotated[PositiveInt, Field(description="Channels of a token.")]
Depth = Annotated[
    int,
    Field(ge=2, le=1_000, description="Blocks; features are taken after the second-to-last, the last one never runs."),
]
Heads = Annotated[PositiveInt, Field(description="Attention heads of a block; they divide `width`.")]
MlpRatio = Annotated[
    PositiveFloat,
    Field(description="Hidden width of a block's MLP, as a multiple of `width` (rounded down)."),
]
Stem = Annotated[
    Literal["patch", "conv"],
    Field(
        description="How pixels become tokens: `patch`, one convolution per patch as in the published encoders, or "
        "`conv`, overlapping 3 x 3 convolutions of stride 2, of which small towers learn shapes sooner."
    ),
]
ImageSize = Annotated[
    PositiveInt | tuple[PositiveInt, PositiveInt],
    Field(description="Side of the square input, or [height, width], in pixels."),
]
Weights = Annotated[
    str,
    Field(
        description="`none` (random), `packaged` (comes with the plugin, tiny encoders only), `hub` (published), or "
        "a path: of a checkpoint file or a folder with one; two towers take a folder that holds, of each, "
        "`dinov2.safetensors` and `siglip.safetensors`, or the folders of their hub repositories."
    ),
]


class VitSizes(ComponentConfig):
    """The sizes of one vision Transformer."""

    patch_size: PatchSize
    width: Width
    depth: Depth
    heads: Heads
    mlp_ratio: MlpRatio
    stem: Stem = "patch"

    @property
    def stem_channels(self) -> tuple[int, ...]:
        """Returns the channels after each convolution of stride 2 of the stem `conv`."""
        steps = self.patch_size.bit_length() - 1
        return tuple(max(4, self.width >> (steps - 1 - step)) for step in range(steps))

    @model_validator(mode="after")
    def _stem_halves(self) -> Self:
        if self.stem == "conv" and self.patch_size.bit_count() != 1:
            raise ValueError(
                f"stem conv halves the picture, so patch_size must be a power of two, not {self.patch_size}"
            )
        return self

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} do not divide width {self.width}")
        return self


class So400mSizes(VitSizes):
    """SigLIP's shape-optimised 400 M (timm `vit_so400m_patch14_siglip_384`)."""

    patch_size: PatchSize = 14
    width: Width = 1152
    depth: Depth = 27
    heads: Heads = 16
    mlp_ratio: MlpRatio = 3.7362


class LargeSizes(VitSizes):
    """ViT-L/14 (timm `vit_large_patch14_reg4_dinov2`)."""

    patch_size: PatchSize = 14
    width: Width = 1024
    depth: Depth = 24
    heads: Heads = 16
    mlp_ratio: MlpRatio = 4.0


class TinySizes(VitSizes):
    """Small enough for two CPU cores: about 0.3 M parameters."""

    patch_size: PatchSize = 8
    width: Width = 96
    depth: Depth = 3
    heads: Heads = 3
    mlp_ratio: MlpRatio = 3.0
    stem: Stem = "conv"


class EncoderConfig(ComponentConfig):
    """The settings that every encoder of this package has."""

    component: ClassVar[str]
    """The qualified name, for messages."""

    image_size: ImageSize = 384

    resize: Literal["naive", "crop", "letterbox"] = "naive"
    """How an image becomes the input: naive ignores its aspect ratio (the paper's way), crop cuts the longer side,
    letterbox pads with the mean colour."""

    weights: Weights = "none"

    keep_unused: bool = True
    """Whether the modules that never run (the last block, the final norm, SigLIP's pooling head) are built, as in the
    authors' code; without them an encoder takes less memory and returns the same."""

    @property
    def pixels(self) -> tuple[int, int]:
        """Returns (height, width) of the input, in pixels."""
        if isinstance(self.image_size, tuple):
            return self.image_size
        return (self.image_size, self.image_size)

    def grid(self, sizes: VitSizes) -> tuple[int, int]:
        """Returns (rows, columns) of patches that a tower of these sizes makes of the input."""
        height, width = self.pixels
        return (height // sizes.patch_size, width // sizes.patch_size)

    def _check_patch(self, sizes: VitSizes) -> None:
        if 0 in self.grid(sizes):
            height, width = self.pixels
            raise ValueError(f"an image of {height} x {width} pixels holds no patch of {sizes.patch_size} pixels")


class TowerConfig(VitSizes, EncoderConfig):
    """An encoder of one tower: sizes and input side by side."""

    @model_validator(mode="after")
    def _image_holds_a_patch(self) -> Self:
        self._check_patch(self)
        return self

    @classmethod
    def tiny(cls) -> Self:
        """Returns the same architecture at the sizes of the tiny encoders, with 64 x 64 pixels."""
        return cls(image_size=64, weights="none", **TinySizes().model_dump())


class SiglipSo400m384Config(So400mSizes, TowerConfig):
    """`siglip/so400m-384`: 428.2 M parameters, 729 tokens of 1152 channels."""

    component: ClassVar[str] = "siglip/so400m-384"
    weights: Weights = "hub"


class SiglipTinyConfig(TinySizes, TowerConfig):
    """`siglip/tiny`: the same classes at 64 x 64 pixels, 64 tokens of 96 channels."""

    component: ClassVar[str] = "siglip/tiny"
    image_size: ImageSize = 64
    weights: Weights = "packaged"


class Dinov2Large384Config(LargeSizes, TowerConfig):
    """`dinov2/large-384`: 303.7 M parameters, 729 tokens of 1024 channels."""

    component: ClassVar[str] = "dinov2/large-384"
    weights: Weights = "hub"


class Dinov2TinyConfig(TinySizes, TowerConfig):
    """`dinov2/tiny`: the same classes at 64 x 64 pixels, 64 tokens of 96 channels."""

    component: ClassVar[str] = "dinov2/tiny"
    image_size: ImageSize = 64
    weights: Weights = "packaged"


class TwoTowersConfig(EncoderConfig):
    """Two towers on one image. Their grids must be equal; the encoder says so where they are not."""

    dinov2: VitSizes
    """Sizes of the first tower."""

    siglip: VitSizes
    """Sizes of the second tower."""

    @model_validator(mode="after")
    def _image_holds_patches(self) -> Self:
        self._check_patch(self.dinov2)
        self._check_patch(self.siglip)
        return self


class DinoSiglipSo400m384Config(TwoTowersConfig):
    """`dinosiglip/so400m-384`, the paper's encoder: 729 tokens of 2176 channels."""

    component: ClassVar[str] = "dinosiglip/so400m-384"
    weights: Weights = "hub"

    dinov2: LargeSizes = LargeSizes()
    """Sizes of the first tower."""

    siglip: So400mSizes = So400mSizes()
    """Sizes of the second tower."""

    @classmethod
    def tiny(cls) -> Self:
        """Returns the same architecture at the sizes of the tiny encoders, with 64 x 64 pixels."""
        sizes = TinySizes().model_dump()
        return cls(image_size=64, weights="none", dinov2=LargeSizes(**sizes), siglip=So400mSizes(**sizes))


class DinoSiglipTinyConfig(TwoTowersConfig):
    """`dinosiglip/tiny`: both tiny towers at 64 x 64 pixels, 64 tokens of 192 channels."""

    component: ClassVar[str] = "dinosiglip/tiny"
    image_size: ImageSize = 64
    weights: Weights = "packaged"

    dinov2: TinySizes = TinySizes()
    """Sizes of the first tower."""

    siglip: TinySizes = TinySizes()
    """Sizes of the second tower."""

    @classmethod
    def tiny(cls) -> Self:
        """Returns the defaults, with random weights."""
        return cls(weights="none")
