"""Settings of the open_clip encoders. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from cobra_kit.config import ComponentConfig

# The fields that a subclass overrides carry their description in the type, so that it is inherited with it.
ImageSize = Annotated[PositiveInt, Field(description="Side of the square input, in pixels.")]


class OpenClipConfig(ComponentConfig):
    """What every encoder of this package asks for."""

    image_size: ImageSize = 384

    resize: Literal["naive", "crop", "letterbox"] = "naive"
    """How a picture becomes the input: naive ignores its aspect ratio, crop cuts the longer side, letterbox pads with
    the mean colour."""

    weights: str = "hub"
    """none (random), hub (the published ones), or the path of a checkpoint or of a folder that holds one."""


class ClipL336Config(OpenClipConfig):
    """OpenAI's CLIP ViT-L/14 at 336 px: 576 tokens of 1024 channels."""

    image_size: ImageSize = 336


class So400m384Config(OpenClipConfig):
    """SigLIP ViT-SO400M/14 at 384 px through open_clip: 729 tokens of 1152 channels."""


class AnyConfig(OpenClipConfig):
    """Any visual tower that open_clip knows by name."""

    model: str = "ViT-B-32"
    """open_clip's name of the model."""

    pretrained: str = "openai"
    """open_clip's tag of the published weights that `weights: hub` loads."""

    image_size: ImageSize = 224
