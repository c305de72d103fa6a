"""The plugin host: finds plugins through their entry points, keeps them apart, and looks components up by name."""

from __future__ import annotations

from cobra_kit._plugins.attribution import attribute, attributed, call_component, name_of, place_of
from cobra_kit._plugins.component import Component
from cobra_kit._plugins.contain import announce_hard_exits, contained
from cobra_kit._plugins.extension import Extension
from cobra_kit._plugins.randomness import own_randomness
from cobra_kit._plugins.records import PluginRecord, Status
from cobra_kit._plugins.registry import Registry, configure, configured, default_registry, metadata_registry

__all__ = [
    "Component",
    "Extension",
    "PluginRecord",
    "Registry",
    "Status",
    "announce_hard_exits",
    "attribute",
    "attributed",
    "call_component",
    "configure",
    "configured",
    "contained",
    "default_registry",
    "metadata_registry",
    "name_of",
    "own_randomness",
    "place_of",
]
