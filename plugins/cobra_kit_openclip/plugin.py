"""Declares the open_clip encoders. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import VisionEncoderSpec, hookimpl

_UNFINISHED = (
    "open_clip towers come with the full-size encoders, not in this version; "
    "use siglip/so400m-384, or a tiny encoder such as siglip/tiny"
)
_ENCODERS = {
    "clip-l-336": ("CLIP ViT-L/14 at 336 px: 576 tokens of 1024 channels", "ClipL336Config"),
    "so400m-384": ("SigLIP ViT-SO400M/14 at 384 px: 729 tokens of 1152 channels", "So400m384Config"),
    "any": ("any visual tower of open_clip, by name", "AnyConfig"),
}


@hookimpl
def cobra_vision_encoders() -> Iterable[VisionEncoderSpec]:
    """Returns the names that recipes may already use."""
    for name, (summary, config) in _ENCODERS.items():
        yield VisionEncoderSpec(
            name=name,
            summary=summary,
            target="cobra_kit_openclip.encoder:OpenClipEncoder",
            config=f"cobra_kit_openclip.config:{config}",
            requires=("open_clip_torch>=3.2",),
            unfinished=_UNFINISHED,
        )
