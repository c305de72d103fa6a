"""Declares the fusion schemes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import FusionSpec, hookimpl


@hookimpl
def cobra_fusion_schemes() -> Iterator[FusionSpec]:
    """Yields the schemes that only choose places and have no parameters."""
    yield FusionSpec(
        name="image-first",
        summary="all images, then the whole text: Cobra's",
        target="cobra_kit_fusion.fusion:ImageFirst",
        config="cobra_kit_fusion.config:FusionConfig",
        prismatic_id="image-first",
    )
    yield FusionSpec(
        name="in-place",
        summary="each image where its marker stood in the text",
        target="cobra_kit_fusion.fusion:InPlace",
        config="cobra_kit_fusion.config:FusionConfig",
    )
    yield FusionSpec(
        name="image-last",
        summary="all images after the first question, before its answer",
        target="cobra_kit_fusion.fusion:ImageLast",
        config="cobra_kit_fusion.config:FusionConfig",
    )
