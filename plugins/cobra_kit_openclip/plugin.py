"""Declares the open_clip encoders. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import VisionEncoderSpec, hookimpl

_ENCODERS = {
    "clip-l-336": ("CLIP ViT-L/14 at 336 px: 576 tokens of 1024 channels", "ClipL336Config"),
    "so400m-384": ("SigLIP ViT-SO400M/14 at 384 px: 729 tokens of 1152 channels", "So400m384Config"),
    "any": ("any vision Transformer of open_clip, by name and tag", "AnyConfig"),
}


@hookimpl
def cobra_vision_encoders() -> Iterable[VisionEncoderSpec]:
    """Returns CLIP, SigLIP, and any other tower by name."""
    for name, (summary, config) in _ENCODERS.items():
        yield VisionEncoderSpec(
            name=name,
            summary=summary,
            target="cobra_kit_openclip.encoder:OpenClipEncoder",
            config=f"cobra_kit_openclip.config:{config}",
            requires=("open_clip_torch>=3.2",),
            prismatic_id="clip-vit-l-336px" if name == "clip-l-336" else "",
        )
