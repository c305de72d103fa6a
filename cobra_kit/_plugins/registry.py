"""All plugins of this process, and the rules by which a name finds its component.

A component's identity is `plugin/name`. The short name is a convenience, valid only while it is unique. Nobody has
precedence, first party included; a conflict costs only the names in conflict.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from cobra_kit._plugins import missing
from cobra_kit._plugins.component import Component
from cobra_kit._plugins.declared import Declared
from cobra_kit._plugins.discover import ALLOW_VARIABLE, find_installed, unknown_allowed
from cobra_kit._plugins.extension import Extension
from cobra_kit._plugins.files import find_files
from cobra_kit._plugins.load import errors_raise, load_plugin
from cobra_kit._plugins.records import PluginRecord
from cobra_kit._plugins.words import KIND_WORDS
from cobra_kit.errors import PluginError
from cobra_kit.formatting import either, printable
from cobra_kit.plugin import AnyKind, ExtensionKind, Kind

DeclaredT = TypeVar("DeclaredT", bound=Declared)


@dataclass(slots=True)
class Registry:
    """The plugins that were found, in the same order in every process."""

    records: list[PluginRecord] = field(default_factory=list)

    @classmethod
    def discover(cls, *, files: Sequence[Path] = (), enabled: bool = True, load: bool = True) -> Registry:
        """Finds all plugins and imports them; one that fails costs one line on stderr and nothing else.

        Args:
            files: One-file plugins; always loaded, since the user named them.
            enabled: Whether plugins of installed packages are loaded.
            load: Whether anything is imported at all; without, records keep the status `found`.

        Raises:
            PluginError: A plugin file does not exist; or a plugin failed and `COBRA_KIT_PLUGIN_ERRORS` is `raise`.
        """
        sources: list[tuple[PluginRecord, Callable[[], object]]] = [
            (record, entry_point.load) for record, entry_point in find_installed(enabled=enabled)
        ]
        sources += find_files(files)
        records = []
        for record, importer in sources:
            if load and record.status == "found":
                load_plugin(record, importer)
            if record.failed:
                _report_failure(record)
            records.append(record)
        for name in unknown_allowed({record.plugin for record in records}):
            _warn(f"{ALLOW_VARIABLE} names {name!r}, which no installed package provides")
        return cls(records)

    def components(self, kind: Kind | None = None) -> list[Component]:
        """Returns the components of all plugins that are ok, or those of one kind."""
        every = [component for record in self.records for component in record.components]
        return [component for component in every if kind in (None, component.kind)]

    def extensions(self, kind: ExtensionKind | None = None) -> list[Extension]:
        """Returns the extensions of all plugins that are ok, or those of one kind."""
        every = [extension for record in self.records for extension in record.extensions]
        return [extension for extension in every if kind in (None, extension.kind)]

    def declared(self, kind: AnyKind | None = None) -> list[Component | Extension]:
        """Returns everything that plugins declare under a name, or what is of one kind: components come first."""
        every: list[Component | Extension] = [*self.components(), *self.extensions()]
        return [item for item in every if kind in (None, item.kind)]

    def conflicts(self) -> dict[str, list[str]]:
        """Returns the plugin ids that several packages claim, each with its claimants."""
        claims: dict[str, list[str]] = {}
        for record in self.records:
            claims.setdefault(record.plugin, []).append(record.distribution)
        return {plugin: claimants for plugin, claimants in claims.items() if len(claimants) > 1}

    def recipes(self) -> dict[str, Traversable]:
        """Returns the recipe files of all plugins as `plugin/stem`; ids in conflict are left out."""
        conflicts = self.conflicts()
        return {
            f"{record.plugin}/{stem}": recipe
            for record in self.records
            if record.plugin not in conflicts
            for stem, recipe in record.recipes.items()
        }

    def get(self, kind: Kind, name: str) -> Component:
        """Returns the component of that kind with that qualified name, or that short name while it is unique.

        Raises:
            PluginError: There is none (the message has near names and the plugins that failed to load), the short
                name is ambiguous, or two packages claim the plugin's id.
        """
        return self._only(kind, name, self.components(kind))

    def data_source(self, name: str) -> Extension:
        """Returns the data source with that name; names and errors are as for `get`."""
        return self._only("data_source", name, self.extensions("data_source"))

    def benchmark(self, name: str) -> Extension:
        """Returns the benchmark with that name; names and errors are as for `get`."""
        return self._only("benchmark", name, self.extensions("benchmark"))

    def rule(self, name: str) -> Extension:
        """Returns the scoring rule with that name; names and errors are as for `get`."""
        return self._only("scoring_rule", name, self.extensions("scoring_rule"))

    def tracker(self, name: str) -> Extension:
        """Returns the tracker with that name; names and errors are as for `get`."""
        return self._only("tracker", name, self.extensions("tracker"))

    def _only(self, kind: AnyKind, name: str, pool: Sequence[DeclaredT]) -> DeclaredT:
        hits = [item for item in pool if name in (item.qualified, item.spec.name)]
        providers = dict.fromkeys(item.qualified for item in hits)
        if len(providers) > 1:
            sources = [f"{hit.qualified} ({hit.distribution})" for hit in hits]
            raise PluginError(
                f"{KIND_WORDS[kind]} {name!r} is ambiguous: {either(sources)}", hint="write the qualified name"
            )
        self.check_conflict(hits[0].plugin if hits else _plugin_of(name))
        if not hits:
            raise missing.unknown_component(kind, name, pool, self.declared(), self.records)
        return hits[0]

    def find(self, name: str) -> Component | Extension:
        """Returns what has that qualified name, of any kind, or that short name while it is unique.

        Raises:
            PluginError: There is none, the short name is ambiguous, or two packages claim the plugin's id.
        """
        hits = [item for item in self.declared() if name in (item.qualified, item.spec.name)]
        if len({(item.kind, item.qualified) for item in hits}) > 1:
            sources = [f"{KIND_WORDS[hit.kind]} {hit.qualified}" for hit in hits]
            raise PluginError(f"{name!r} is ambiguous: {either(sources)}", hint="write the qualified name")
        self.check_conflict(hits[0].plugin if hits else _plugin_of(name))
        if not hits:
            raise missing.unknown_name(name, self.declared(), self.records)
        return hits[0]

    def check_conflict(self, plugin: str) -> None:
        """Checks that one package alone claims a plugin id: a squatter can block a name, never take it over.

        Raises:
            PluginError: Several packages claim it.
        """
        claimants = self.conflicts().get(plugin)
        if claimants:
            raise PluginError(
                f"plugin id {plugin!r} is claimed by {' and '.join(claimants)}",
                hint=f"uninstall all but one of them; until then nothing named {plugin}/... can be used",
            )


def _plugin_of(name: str) -> str:
    """Returns the plugin that a qualified name begins with; nothing of a short one."""
    return name.partition("/")[0] if "/" in name else ""


def configure(*, files: Sequence[Path] = (), enabled: bool = True) -> None:
    """Sets how `default_registry` finds plugins in this process; the next call to it looks again."""
    global _files, _enabled
    _files, _enabled = tuple(files), enabled
    default_registry.cache_clear()


def configured() -> tuple[tuple[Path, ...], bool]:
    """Returns what `configure` was told, so that a process of ours can be told the same."""
    return _files, _enabled


_files: tuple[Path, ...] = ()
_enabled = True


def metadata_registry() -> Registry:
    """Returns the plugins of this process as metadata names them; imports none."""
    return Registry.discover(files=_files, enabled=_enabled, load=False)


@functools.cache
def default_registry() -> Registry:
    """Returns the registry of this process, found once."""
    return Registry.discover(files=_files, enabled=_enabled)


def _report_failure(record: PluginRecord) -> None:
    message = f"plugin {record.label} is {record.status}: {record.error}"
    if errors_raise():
        raise PluginError(message)
    _warn(message)


def _warn(message: str) -> None:
    # One warning, not one per rank, where torchrun started this process.
    if os.environ.get("RANK", "0") == "0":
        print(printable(f"warning: {message}"), file=sys.stderr)
