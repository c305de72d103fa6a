"""Toy components and a registry of them: recipes are tested without any real plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cobra_kit._plugins import Component, PluginRecord, Registry
from cobra_kit.config import ComponentConfig
from cobra_kit.plugin import ComponentSpec, Kind


class EncoderConfig(ComponentConfig):
    image_size: Annotated[int, Field(gt=0)] | tuple[int, int] = 64
    weights: str = "none"


class MlpConfig(ComponentConfig):
    hidden: int = 32
    depth: int = 2
    dropout: float = 0.0
    act: Literal["gelu", "relu"] = "gelu"
    norm: str | None = None

    @model_validator(mode="after")
    def _deep_enough(self) -> MlpConfig:
        if self.act == "relu" and self.depth == 1:
            raise ValueError("relu needs a depth of at least 2")
        return self


class PoolConfig(ComponentConfig):
    stride: int = 2


class Sizes(ComponentConfig):
    width: int = 8
    heads: int = 2


class LmConfig(ComponentConfig):
    sizes: Sizes = Sizes()
    layers: tuple[int, ...] = (1, 2)


_DECLARED: list[tuple[Kind, str, str]] = [
    ("vision_encoder", "see/small", "EncoderConfig"),
    ("vision_encoder", "see/large", "EncoderConfig"),
    ("projector", "map/mlp", "MlpConfig"),
    ("projector", "map/wide", "MlpConfig"),
    ("projector", "pool/mean", "PoolConfig"),
    ("fusion", "mix/first", "PoolConfig"),
    ("backbone", "lm/tiny", "LmConfig"),
    ("backbone", "lm/base", "LmConfig"),
]


def toy_registry() -> Registry:
    """Returns a registry whose plugins are see, map, pool, mix and lm, and one broken plugin."""
    components: dict[str, list[Component]] = {}
    for kind, qualified, config in _DECLARED:
        plugin, _, name = qualified.partition("/")
        spec = ComponentSpec(name=name, summary="a toy", target="toy_components:Toy", config=f"toy_components:{config}")
        components.setdefault(plugin, []).append(Component(kind, plugin, "toys 1.0", spec))
    records = [
        PluginRecord(plugin, "toys 1.0", "v1", "toys", status="ok", components=tuple(specs))
        for plugin, specs in components.items()
    ]
    broken = PluginRecord("resampler", "my-toys 0.2.0", "v1", "my_toys", "broken", "No module named 'einops'")
    return Registry([*records, broken])


WHOLE = """\
title: Toy
model:
  vision_encoder: {use: see/small}
  projector: {use: map/mlp, hidden: 16}
  fusion: {use: mix/first}
  backbone: {use: lm/tiny}
"""
