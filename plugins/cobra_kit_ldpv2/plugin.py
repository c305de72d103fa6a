"""Declares the LDPv2 projectors. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import ProjectorSpec, hookimpl


@hookimpl
def cobra_projectors() -> Iterator[ProjectorSpec]:
    """Yields the projectors that pool the grid of visual tokens."""
    yield ProjectorSpec(
        name="fused",
        summary="a quarter of the tokens, hidden layer four times as wide as they are: Cobra's ablation",
        target="cobra_kit_ldpv2.projector:FusedLdpV2",
        config="cobra_kit_ldpv2.config:FusedConfig",
        prismatic_id="fused-ldpnet",
    )
    yield ProjectorSpec(
        name="plain",
        summary="a quarter of the tokens, hidden layer as wide as the backbone",
        target="cobra_kit_ldpv2.projector:PlainLdpV2",
        config="cobra_kit_ldpv2.config:PlainConfig",
        prismatic_id="ldpnet",
    )
    yield ProjectorSpec(
        name="mobilevlm",
        summary="as plain, always 12 x 12 tokens: MobileVLM V2's own",
        target="cobra_kit_ldpv2.projector:PlainLdpV2",
        config="cobra_kit_ldpv2.config:MobileVlmConfig",
    )
