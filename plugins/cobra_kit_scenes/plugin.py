"""Declares the embedded world: data source, benchmarks, pretraining tasks and a command. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import BenchmarkSpec, DataCommandSpec, DataSourceSpec, PretrainingSpec, hookimpl


@hookimpl
def cobra_data_sources() -> Iterator[DataSourceSpec]:
    """Yields the world as training rows, and questions of six abilities."""
    yield DataSourceSpec(
        name="world",
        summary="drawn images and questions that nobody can answer without looking; nothing to download",
        target="cobra_kit_scenes.source:World",
        config="cobra_kit_scenes.params:SceneParams",
        aliases=("scenes",),
    )


_ABILITIES = {
    "presence": ("Presence", "is there a red circle? (POPE's form)"),
    "attribute": ("Attribute", "which colour, which shape? (VQAv2's form)"),
    "count": ("Count", "how many? (VQAv2's form)"),
    "spatial": ("Spatial", "true or false: left of, above, inside (VSR's form)"),
    "reading": ("Reading", "which word, which letter? (TextVQA's form)"),
    "boxes": ("Boxes", "where is it? (RefCOCO's form)"),
}


@hookimpl
def cobra_benchmarks() -> Iterator[BenchmarkSpec]:
    """Yields the six abilities."""
    for name, (cls, summary) in _ABILITIES.items():
        yield BenchmarkSpec(
            name=name,
            summary=summary,
            target=f"cobra_kit_scenes.benchmarks:{cls}",
            config="cobra_kit_scenes.params:SceneParams",
        )


@hookimpl
def cobra_pretraining() -> Iterator[PretrainingSpec]:
    """Yields what small encoders and backbones learn from the world."""
    yield PretrainingSpec(
        name="encoders",
        summary="a small vision encoder learns from drawn images what they say, or how they look",
        target="cobra_kit_scenes.encoders.pretraining:ScenesEncoderPretraining",
        config="cobra_kit_scenes.encoders.recipe:EncoderSections",
        part="vision_encoder",
    )
    yield PretrainingSpec(
        name="backbones",
        summary="a small backbone reads passages and conversations about scenes that no image shows",
        target="cobra_kit_scenes.backbones.pretraining:ScenesBackbonePretraining",
        config="cobra_kit_scenes.backbones.recipe:BackboneSections",
        part="backbone",
    )


@hookimpl
def cobra_data_commands() -> Iterator[DataCommandSpec]:
    """Yields the command that writes the world to a folder."""
    yield DataCommandSpec(
        name="scenes", summary="Draw the embedded world to a folder.", target="cobra_kit_scenes.command:scenes"
    )
