"""Declares the MLP projectors. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import ProjectorSpec, hookimpl


@hookimpl
def cobra_projectors() -> Iterator[ProjectorSpec]:
    """Yields the projectors that map each visual token by itself."""
    yield ProjectorSpec(
        name="linear",
        summary="one linear layer per visual token",
        target="cobra_kit_mlp.projector:LinearProjector",
        config="cobra_kit_mlp.config:LinearConfig",
        prismatic_id="linear",
    )
    yield ProjectorSpec(
        name="gelu",
        summary="two layers with a GELU: Cobra's for one encoder, LLaVA-1.5's",
        target="cobra_kit_mlp.projector:GeluProjector",
        config="cobra_kit_mlp.config:GeluConfig",
        prismatic_id="gelu-mlp",
    )
    yield ProjectorSpec(
        name="fused",
        summary="three layers, the first one four times as wide as the tokens: Cobra's default",
        target="cobra_kit_mlp.projector:FusedProjector",
        config="cobra_kit_mlp.config:FusedConfig",
        prismatic_id="fused-gelu-mlp",
    )
