"""One registered extension: a data source, a benchmark, a scoring rule or a tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cobra_kit._plugins.declared import Declared, describe
from cobra_kit.errors import PluginError
from cobra_kit.plugin import AnyExtensionSpec, ExtensionKind

if TYPE_CHECKING:
    from cobra_kit.interfaces import BenchmarkFactory, DataSourceFactory, Rule, Tracker


@dataclass(frozen=True, slots=True)
class Extension(Declared):
    """An extension that a plugin declared.

    Args:
        kind: Which contract it implements.
        plugin: The plugin's id.
        distribution: `"name version"` of the package, or the path of a one-file plugin.
        spec: What the plugin declared it with.
    """

    kind: ExtensionKind
    plugin: str
    distribution: str
    spec: AnyExtensionSpec

    def load_source(self) -> type[DataSourceFactory]:
        """Imports the class that opens a data source.

        Raises:
            NotFinishedError: It cannot be used in this version.
            PluginError: A requirement is not met, the import fails, or the class does not implement its contract.
        """
        cls: type[DataSourceFactory] = self._load_subclass("DataSourceFactory")
        return cls

    def load_benchmark(self) -> type[BenchmarkFactory]:
        """Imports the class that opens a benchmark.

        Raises:
            NotFinishedError: It cannot be used in this version.
            PluginError: As for `load_source`.
        """
        cls: type[BenchmarkFactory] = self._load_subclass("BenchmarkFactory")
        return cls

    def load_tracker(self) -> type[Tracker]:
        """Imports the class of a tracker.

        Raises:
            NotFinishedError: It cannot be used in this version.
            PluginError: As for `load_source`.
        """
        cls: type[Tracker] = self._load_subclass("Tracker")
        return cls

    def load_rule(self) -> Rule:
        """Imports a scoring rule.

        Raises:
            NotFinishedError: It cannot be used in this version.
            PluginError: A requirement is not met, the import fails, or it is no `Rule` of the name that is declared.
        """
        rule = self._load_target()
        from cobra_kit.interfaces import Rule

        if not isinstance(rule, Rule):
            raise PluginError(
                f"{self.title}: target {self.spec.target} must be a cobra_kit.interfaces.Rule, not {describe(rule)}"
            )
        if rule.name not in (self.spec.name, self.qualified):
            raise PluginError(
                f"{self.title}: target {self.spec.target} is a rule named {rule.name!r}",
                hint="A rule is declared under its own name: it stands beside every number that the rule gives.",
            )
        return rule
