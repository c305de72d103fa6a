"""Declares the SigLIP encoders. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import VisionEncoderSpec, hookimpl


@hookimpl
def cobra_vision_encoders() -> Iterable[VisionEncoderSpec]:
    """Returns SigLIP at full size and tiny."""
    target = "cobra_kit_timm.encoder:SiglipEncoder"
    yield VisionEncoderSpec(
        name="so400m-384",
        summary="SigLIP ViT-SO400M/14 at 384 px: 729 tokens of 1152 channels",
        target=target,
        config="cobra_kit_timm.config:SiglipSo400m384Config",
        requires=("timm>=1.0.20",),
        prismatic_id="siglip-vit-so400m-384px",
    )
    yield VisionEncoderSpec(
        name="tiny",
        summary="SigLIP's architecture at 64 px: 64 tokens of 96 channels",
        target=target,
        config="cobra_kit_timm.config:SiglipTinyConfig",
        requires=("timm>=1.0.20",),
    )
