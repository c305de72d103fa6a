"""Declares the two-tower encoders. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import VisionEncoderSpec, hookimpl


@hookimpl
def cobra_vision_encoders() -> Iterable[VisionEncoderSpec]:
    """Returns DINOv2 and SigLIP side by side, at full size and tiny."""
    target = "cobra_kit_timm.dinosiglip:DinoSiglipEncoder"
    yield VisionEncoderSpec(
        name="so400m-384",
        summary="DINOv2 and SigLIP, channels concatenated, at 384 px: 729 tokens of 2176 channels",
        target=target,
        config="cobra_kit_timm.config:DinoSiglipSo400m384Config",
        requires=("timm>=1.0.20",),
        prismatic_id="dinosiglip-vit-so-384px",
    )
    yield VisionEncoderSpec(
        name="tiny",
        summary="both tiny towers, channels concatenated, at 64 px: 64 tokens of 192 channels",
        target=target,
        config="cobra_kit_timm.config:DinoSiglipTinyConfig",
        requires=("timm>=1.0.20",),
    )
