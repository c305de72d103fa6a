"""Settings of the open_clip encoders. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from cobra_kit.config import ComponentConfig

_TINY = Path(__file__).parent / "tiny"

# The fields that a subclass overrides carry their description in the type, so that it is inherited with it.
Model = Annotated[
    str,
    Field(description="open_clip's name of the model, or the path of a JSON file in the form of its model configs."),
]
Pretrained = Annotated[
    str | None,
    Field(
        description="open_clip's tag of the published weights; their statistics, interpolation and activation hold "
        "whatever `weights` is; null for a model without them."
    ),
]
ImageSize = Annotated[
    PositiveInt | tuple[PositiveInt, PositiveInt] | None,
    Field(description="Side of the square input, or [height, width], in pixels; null takes the model's own."),
]


class OpenClipConfig(ComponentConfig):
    """The settings that every encoder of this package has."""

    component: ClassVar[str]
    """The qualified name, for messages."""

    tiny_model: ClassVar[str]
    """The file of a small model of the same kind, for checks."""

    model: Model
    pretrained: Pretrained
    image_size: ImageSize = None

    resize: Literal["naive", "crop", "letterbox", "published"] = "naive"
    """How an image becomes the input: naive ignores its aspect ratio, crop cuts the longer side, letterbox pads with
    the mean colour, published takes what open_clip does for these weights (naive or crop)."""

    weights: str = "hub"
    """none (random), hub (the published ones), or the path of a checkpoint or of a folder that holds one: of a whole
    CLIP or of the visual tower alone."""

    keep_unused: bool = True
    """Whether the modules that never run (the last block, the final norm, pooling and projection) are built; without
    them an encoder takes less memory and returns the same."""

    @classmethod
    def tiny(cls) -> Self:
        """Returns a small model of the same kind, with random weights."""
        return cls(model=str(_TINY / cls.tiny_model), pretrained=None, image_size=None, weights="none")


class ClipL336Config(OpenClipConfig):
    """`openclip/clip-l-336`: OpenAI's CLIP ViT-L/14 at 336 px, 576 tokens of 1024 channels."""

    component: ClassVar[str] = "openclip/clip-l-336"
    tiny_model: ClassVar[str] = "clip.json"
    model: Model = "ViT-L-14-336-quickgelu"
    pretrained: Pretrained = "openai"
    image_size: ImageSize = 336


class So400m384Config(OpenClipConfig):
    """`openclip/so400m-384`: SigLIP ViT-SO400M/14 at 384 px, 729 tokens of 1152 channels."""

    component: ClassVar[str] = "openclip/so400m-384"
    tiny_model: ClassVar[str] = "siglip.json"
    model: Model = "ViT-SO400M-14-SigLIP-384"
    pretrained: Pretrained = "webli"
    image_size: ImageSize = 384


class AnyConfig(OpenClipConfig):
    """`openclip/any`: any vision Transformer that open_clip knows by name."""

    component: ClassVar[str] = "openclip/any"
    tiny_model: ClassVar[str] = "clip.json"
    model: Model = "ViT-B-32"
    pretrained: Pretrained = "openai"
