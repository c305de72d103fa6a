"""The base of all that plugins declare: its name, where it comes from, and how what it names is imported."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from cobra_kit._plugins.code import code_fingerprint, sources_fingerprint
from cobra_kit._plugins.contain import Importing, importing
from cobra_kit._plugins.words import KIND_WORDS, one_line
from cobra_kit.errors import NotFinishedError, PluginError
from cobra_kit.formatting import did_you_mean, nearest
from cobra_kit.names import install_command
from cobra_kit.plugin import AnyExtensionSpec, AnyKind, ComponentSpec

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Declared:
    """The base of `Component` and `Extension`: a name that a plugin declared, and what it stands for.

    Args:
        kind: Which contract it implements.
        plugin: The plugin's id.
        distribution: `"name version"` of the package, or the path of a one-file plugin.
        spec: What the plugin declared it with.
    """

    kind: AnyKind
    plugin: str
    distribution: str
    spec: ComponentSpec | AnyExtensionSpec

    @property
    def qualified(self) -> str:
        """Returns the full name, `plugin/component`."""
        return f"{self.plugin}/{self.spec.name}"

    @property
    def title(self) -> str:
        """Returns the start of an error message: `projector 'mlp/gelu' (cobra-kit 0.1.0)`."""
        return f"{KIND_WORDS[self.kind]} {self.qualified!r} ({self.distribution})"

    @property
    def config_reference(self) -> str | None:
        """Returns where its settings are described; None where it has none."""
        return getattr(self.spec, "config", None)

    def _load_target(self) -> Any:
        if self.spec.unfinished:
            raise NotFinishedError(f"{self.title} is not finished yet", hint=self.spec.unfinished)
        # Before the import: a missing package is named with its remedy, not as an ImportError from inside.
        self._check_requires()
        return self._import("target", self.spec.target)

    def _load_subclass(self, name: str) -> Any:
        cls = self._load_target()
        from cobra_kit import interfaces  # after the target: what is missing is told before torch is imported

        contract: type = getattr(interfaces, name)
        if not (isinstance(cls, type) and issubclass(cls, contract)):
            raise PluginError(
                f"{self.title}: target {self.spec.target} must be a subclass of "
                f"cobra_kit.interfaces.{name}, not {describe(cls)}"
            )
        if inspect.isabstract(cls):
            lacking = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
            raise PluginError(f"{self.title}: target {self.spec.target} does not implement {lacking}")
        self._fingerprint()  # now: what is edited after the import does not run in this process
        return cls

    def sources_fingerprint(self) -> str | None:
        """Returns a hash of the source files as they are on disk now; imports nothing. None: they are in no file.

        Raises:
            CobraError: A source file cannot be read.
        """
        return sources_fingerprint(*self._modules())

    def _fingerprint(self) -> str:
        return code_fingerprint(*self._modules())

    def _modules(self) -> list[str]:
        references = (self.spec.target, self.config_reference)
        return [reference.partition(":")[0] for reference in references if reference is not None]

    def load_config(self, *, check_requires: bool = True) -> type[BaseModel]:
        """Imports the config's model; works for unfinished components too.

        Args:
            check_requires: Whether unmet requirements are an error; without, the config is shown, not used.

        Raises:
            PluginError: A requirement is not met, the import fails, or it is no pydantic model that forbids extras.
        """
        if check_requires:
            self._check_requires()
        reference = self.config_reference
        if reference is None:
            raise PluginError(f"{self.title} has no settings")
        config = self._import("config", reference)
        from pydantic import BaseModel

        if not (isinstance(config, type) and issubclass(config, BaseModel)):
            raise PluginError(f"{self.title}: config {reference} must be a pydantic model, not {describe(config)}")
        settings: object = getattr(config, "model_config", None)
        if not isinstance(settings, dict) or settings.get("extra") != "forbid":
            raise PluginError(
                f"{self.title}: config {reference} must forbid unknown keys",
                hint="derive it from cobra_kit.config.ComponentConfig, or set extra='forbid' in its model_config",
            )
        return config

    def unmet(self) -> dict[str, str]:
        """Returns the requirements that this environment does not meet, each with what is there instead."""
        unmet = {}
        for text in self.spec.requires:
            problem = _unmet(text)
            if problem:
                unmet[text] = problem
        return unmet

    def _check_requires(self) -> None:
        unmet = self.unmet()
        if unmet:
            needs = ", ".join(f"{text} ({problem})" for text, problem in unmet.items())
            raise PluginError(f"{self.title} needs {needs}", hint=install_command(unmet))

    def _import(self, role: str, reference: str) -> Any:
        title = f"{self.title}: cannot import {role} {reference}"
        return import_reference(reference, title=title, what=f"{role} {reference} of {self.title}")


_MISSING = object()


def import_reference(reference: str, *, title: str, what: str) -> Any:
    """Returns what `package.module:name` names.

    Args:
        reference: The module and the name in it.
        title: The start of the error's text.
        what: Whose import it is, said where it takes long.

    Raises:
        PluginError: The module cannot be imported, or does not have the name.
    """
    module_name, _, name = reference.partition(":")
    state = Importing()
    try:
        with importing(what, state):
            module = importlib.import_module(module_name)
            imported = getattr(module, name, _MISSING)  # a module may have a `__getattr__` of its own
    except BaseException as error:
        if state.is_ours(error):
            raise
        raise PluginError(f"{title}: {one_line(error)}") from error
    if imported is _MISSING:
        raise PluginError(
            f"{title}: module {module_name} has no {name!r}",
            hint=did_you_mean(nearest(name, vars(module), most=1)),
        )
    return imported


def _unmet(text: str) -> str | None:
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return "not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    return f"{installed} is installed"


def describe(target: object) -> str:
    """Returns what an object is, in a few words of an error message."""
    return f"the class {target.__name__}" if isinstance(target, type) else f"a {type(target).__name__}"
