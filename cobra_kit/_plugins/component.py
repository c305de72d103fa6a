"""One registered component: a part of a model, which derives from one of the four contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cobra_kit._plugins.declared import Declared
from cobra_kit.plugin import ComponentSpec, Kind

if TYPE_CHECKING:
    from cobra_kit import interfaces

INTERFACES: dict[Kind, str] = {
    "vision_encoder": "VisionEncoder",
    "projector": "Projector",
    "fusion": "FusionScheme",
    "backbone": "Backbone",
}
"""The class of `cobra_kit.interfaces` that each kind derives from."""


@dataclass(frozen=True, slots=True)
class Component(Declared):
    """A component that a plugin declared.

    Args:
        kind: Which of the four contracts it implements.
        plugin: The plugin's id.
        distribution: `"name version"` of the package, or the path of a one-file plugin.
        spec: What the plugin declared it with.
    """

    kind: Kind
    plugin: str
    distribution: str
    spec: ComponentSpec

    def load_class(self) -> type[interfaces.Component]:
        """Imports the class.

        Raises:
            NotFinishedError: The component cannot be built in this version.
            PluginError: A requirement is not met, the import fails, or the class does not implement its contract.
        """
        cls: type[interfaces.Component] = self._load_subclass(INTERFACES[self.kind])
        return cls

    def code_fingerprint(self) -> str:
        """Returns a hash of the source files of the component's package, or of its one file, as they were imported.

        It changes when the code of an editable installation is edited under the same version.

        Raises:
            PluginError: As for `load_class`.
            CobraError: A source file cannot be read.
        """
        self.load_class()
        return self._fingerprint()
