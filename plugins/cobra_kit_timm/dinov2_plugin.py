"""Declares the DINOv2 encoders. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import VisionEncoderSpec, hookimpl


@hookimpl
def cobra_vision_encoders() -> Iterable[VisionEncoderSpec]:
    """Returns DINOv2 with registers, at full size and tiny."""
    target = "cobra_kit_timm.encoder:Dinov2Encoder"
    yield VisionEncoderSpec(
        name="large-384",
        summary="DINOv2 ViT-L/14 with 4 registers at 384 px: 729 tokens of 1024 channels",
        target=target,
        config="cobra_kit_timm.config:Dinov2Large384Config",
        requires=("timm>=1.0.20",),
    )
    yield VisionEncoderSpec(
        name="tiny",
        summary="DINOv2's architecture at 64 px: 64 tokens of 96 channels",
        target=target,
        config="cobra_kit_timm.config:Dinov2TinyConfig",
        requires=("timm>=1.0.20",),
    )
