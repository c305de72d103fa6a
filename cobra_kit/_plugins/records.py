"""The host's memory of one plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Literal

from cobra_kit._plugins.component import Component
from cobra_kit._plugins.extension import Extension
from cobra_kit.formatting import printable
from cobra_kit.plugin import DiagnosticSpec

Status = Literal["found", "ok", "broken", "incompatible", "blocked"]
"""`found` is known from metadata only; the others are verdicts."""

PLUGIN_ID = re.compile(r"(?=.{1,100}\Z)[a-z0-9]+(?:[-.][a-z0-9]+)*")
"""The shape of a plugin's id: as a component's name, so that `plugin/component` has one slash."""

SLOW_SECONDS = 1.0
"""A plugin that takes longer than this to import is named by `plugins list`."""


@dataclass(slots=True)
class PluginRecord:
    """One plugin and what became of it.

    Args:
        plugin: Its id: the entry point's name, or a file's stem.
        distribution: `"name version"` of the package, or the path of a one-file plugin.
        api: The plugin API that it declares, such as `v1`.
        module: The module that the entry point names; for a file, the name it is imported under.
        status: `ok`, `broken`, `incompatible` or `blocked`; `found` where nothing was imported yet.
        error: Why it is not ok; one line.
        components: What it declares; empty unless ok.
        extensions: Its data sources, benchmarks, scoring rules and trackers; empty unless ok.
        recipes: Its recipe files by stem; empty unless ok.
        diagnostics: What `cobra-kit doctor` calls; empty unless ok.
        seconds: How long importing it took.
        file: The file of the imported module, where it has one.
    """

    plugin: str
    distribution: str
    api: str
    module: str
    status: Status = "found"
    error: str = ""
    components: tuple[Component, ...] = ()
    extensions: tuple[Extension, ...] = ()
    recipes: Mapping[str, Traversable] = field(default_factory=dict)
    diagnostics: tuple[DiagnosticSpec, ...] = ()
    seconds: float = 0.0
    file: str | None = None

    @property
    def declared(self) -> tuple[Component | Extension, ...]:
        """Returns its components, then its extensions."""
        return (*self.components, *self.extensions)

    @property
    def label(self) -> str:
        """Returns the id with its package: `resampler (my-projectors 0.2.0)`."""
        return printable(f"{self.plugin} ({self.distribution})")

    @property
    def failed(self) -> bool:
        """Returns whether the plugin should have loaded and did not."""
        return self.status in ("broken", "incompatible")
