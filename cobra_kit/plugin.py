"""The names plugin authors import to *declare* components and extensions. It never imports torch.

A plugin is a module (or a file) with hook implementations; each returns specs. A spec names its class and its
config as strings, so nothing heavy is imported before a recipe builds the component:

    from cobra_kit.plugin import ProjectorSpec, hookimpl

    @hookimpl
    def cobra_projectors():
        yield ProjectorSpec(
            name="mean",
            summary="one token per image: the mean of its visual tokens",
            target="my_package.projector:MeanProjector",
            config="my_package.config:MeanConfig",
        )

The module is found through an entry point of the group `cobra_kit.v1`; the entry point's name is the plugin's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib.resources.abc import Traversable
from typing import Any, ClassVar, Literal, TypeVar, get_args

import pluggy

from cobra_kit.errors import ArgumentError, kind_of

PLUGIN_API = "v1"
ENTRY_POINT_PREFIX = "cobra_kit."
ENTRY_POINT_GROUP = f"{ENTRY_POINT_PREFIX}{PLUGIN_API}"

Kind = Literal["vision_encoder", "projector", "fusion", "backbone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of component: the parts of a model."""

ExtensionKind = Literal["data_source", "benchmark", "scoring_rule", "tracker"]
EXTENSION_KINDS: tuple[ExtensionKind, ...] = get_args(ExtensionKind)
"""The kinds of extension: what a model is trained on, asked, scored by, and who watches."""

AnyKind = Kind | ExtensionKind
ALL_KINDS: tuple[AnyKind, ...] = (*KINDS, *EXTENSION_KINDS)

hookspec = pluggy.HookspecMarker("cobra_kit")
hookimpl = pluggy.HookimplMarker("cobra_kit")

_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_RULE_NAME = re.compile(rf"{_NAME.pattern}(?:/{_NAME.pattern})?")
LONGEST_NAME = 100
"""Most characters of a plugin's id, and of the name of what it declares: names stand in tables, messages and paths."""

_LONGEST_TEXT = 2000
_MOST_REQUIREMENTS = 100
_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """Declares one component. Use the subclass of its kind.

    Args:
        name: Lower-case letters and digits, parts joined by `-` or `.`; unique within the plugin.
        summary: One line for `cobra-kit plugins list`.
        target: `"package.module:Class"`, imported only when a recipe builds the component.
        config: `"package.module:Model"`, a pydantic model that forbids unknown keys, describes every field,
            imports no torch, and has a class method `tiny()` for checks.
        requires: PEP 508 requirements, checked from metadata before anything is imported.
        unfinished: Why the component cannot be built yet, and what to use instead; None once it can.
        prismatic_id: What it is called in the config files of Prismatic's and Cobra's checkpoints; empty: they have no
            name for it.

    Raises:
        ArgumentError: The name or a reference is malformed.
    """

    name: str
    summary: str
    target: str
    config: str
    requires: tuple[str, ...] = ()
    unfinished: str | None = None
    prismatic_id: str = ""

    def __post_init__(self) -> None:
        _check_text(self.prismatic_id, "prismatic_id of a component")
        _check_spec(self, "component", ("target", "config"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionSpec:
    """Declares one extension: what is no part of a model. Use the subclass of its kind.

    Args:
        name: Lower-case letters and digits, parts joined by `-` or `.`; unique within the plugin, components included.
        summary: One line for `cobra-kit plugins list`.
        target: `"package.module:Class"`, imported only when the extension is used.
        config: `"package.module:Model"`, a pydantic model that forbids unknown keys, describes every field and imports
            no torch.
        requires: PEP 508 requirements, checked from metadata before anything is imported.
        unfinished: Why the extension cannot be used yet, and what to use instead; None once it can.

    Raises:
        ArgumentError: The name or a reference is malformed.
    """

    noun: ClassVar[str] = "extension"

    name: str
    summary: str
    target: str
    config: str
    requires: tuple[str, ...] = ()
    unfinished: str | None = None

    def __post_init__(self) -> None:
        _check_spec(self, self.noun, ("target", "config"))


def _check_spec(spec: Any, noun: str, references: tuple[str, ...], pattern: re.Pattern[str] = _NAME) -> None:
    for field in ("name", "summary", *references):
        _check_text(getattr(spec, field), f"{field} of a {noun}")
    if spec.unfinished is not None:
        _check_text(spec.unfinished, f"unfinished of a {noun}")
    _check_requires(spec.name, spec.requires)
    _check_length(spec.name, noun)
    if not pattern.fullmatch(spec.name):
        extra = ", with at most one '/'" if pattern is _RULE_NAME else ""
        raise ArgumentError(
            f"bad {noun} name {spec.name!r}: lower-case letters and digits, joined by '-' or '.'{extra}"
        )
    for field in references:
        value = getattr(spec, field)
        if not _REFERENCE.fullmatch(value):
            raise ArgumentError(f"{field} of {spec.name!r} must be 'package.module:Name', not {value!r}")


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise ArgumentError(f"{what} must be a text, not {kind_of(value)}")
    if len(value) > _LONGEST_TEXT:
        raise ArgumentError(f"{what} has {len(value):,} characters, at most {_LONGEST_TEXT:,} are allowed")


def _check_length(name: str, what: str) -> None:
    if len(name) > LONGEST_NAME:
        raise ArgumentError(f"the name of a {what} has {len(name)} characters, at most {LONGEST_NAME} are allowed")


def _check_requires(name: str, requires: object) -> None:
    if isinstance(requires, str):
        raise ArgumentError(f"requires of {name!r} must be a tuple of requirements, not a string")
    if not isinstance(requires, tuple | list):
        raise ArgumentError(f"requires of {name!r} must be a tuple of requirements, not {kind_of(requires)}")
    if len(requires) > _MOST_REQUIREMENTS:
        raise ArgumentError(f"requires of {name!r} has {len(requires):,} entries, at most {_MOST_REQUIREMENTS}")
    for text in requires:
        _check_text(text, f"a requirement of {name!r}")


SpecT = TypeVar("SpecT")


def plain_spec(spec: Any, cls: type[SpecT]) -> SpecT:
    """Returns what a plugin declared as an object that is all ours, checked anew.

    A plugin may derive from a spec, change one after it was checked, or give texts with methods of their own; nothing
    of that reaches the host.

    Raises:
        ArgumentError: What was declared is malformed.
    """
    values = {field.name: _plain(getattr(spec, field.name)) for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**values)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, tuple | list) and len(value) <= _MOST_REQUIREMENTS:
        return tuple(_plain(item) for item in value)
    return value


class VisionEncoderSpec(ComponentSpec):
    """Declares a `cobra_kit.interfaces.VisionEncoder`."""

    __slots__ = ()


class ProjectorSpec(ComponentSpec):
    """Declares a `cobra_kit.interfaces.Projector`."""

    __slots__ = ()


class FusionSpec(ComponentSpec):
    """Declares a `cobra_kit.interfaces.FusionScheme`."""

    __slots__ = ()


class BackboneSpec(ComponentSpec):
    """Declares a `cobra_kit.interfaces.Backbone`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSourceSpec(ExtensionSpec):
    """Declares a `cobra_kit.interfaces.DataSourceFactory`: training rows and their images."""

    noun: ClassVar[str] = "data source"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSpec(ExtensionSpec):
    """Declares a `cobra_kit.interfaces.BenchmarkFactory`: held-out questions, and how they are asked and scored."""

    noun: ClassVar[str] = "benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSpec(ExtensionSpec):
    """Declares a `cobra_kit.interfaces.Tracker`: something that is told about every event of a study."""

    noun: ClassVar[str] = "tracker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRuleSpec:
    """Declares a `cobra_kit.interfaces.Rule`; it has no settings, since a number stands beside its rule's name alone.

    Args:
        name: As of an `ExtensionSpec`, or two of them with a slash between, `benchmark/evaluator`. It is the name that
            the rule itself has, and the one printed beside its numbers.
        summary: One line for `cobra-kit plugins list`.
        target: `"package.module:RULE"`, a `Rule`, imported only when something is scored by it.
        requires: PEP 508 requirements, checked from metadata before anything is imported.
        unfinished: Why the rule cannot be used yet, and what to use instead; None once it can.

    Raises:
        ArgumentError: The name or the reference is malformed.
    """

    name: str
    summary: str
    target: str
    requires: tuple[str, ...] = ()
    unfinished: str | None = None

    def __post_init__(self) -> None:
        _check_spec(self, "scoring rule", ("target",), _RULE_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticSpec:
    """Declares a look at what a plugin needs beside Python packages, such as a compiler, a cache or a driver.

    Args:
        name: Lower-case letters and digits, parts joined by `-` or `.`; unique within the plugin.
        target: `"package.module:function"`, imported and called by `cobra-kit doctor` only. It takes nothing and
            returns `Diagnosis` objects.

    Raises:
        ArgumentError: The name or the reference is malformed.
    """

    name: str
    target: str

    def __post_init__(self) -> None:
        for field in ("name", "target"):
            _check_text(getattr(self, field), f"{field} of a diagnostic")
        _check_length(self.name, "diagnostic")
        if not _NAME.fullmatch(self.name):
            raise ArgumentError(
                f"bad diagnostic name {self.name!r}: lower-case letters and digits, joined by '-' or '.'"
            )
        if not _REFERENCE.fullmatch(self.target):
            raise ArgumentError(f"target of {self.name!r} must be 'package.module:name', not {self.target!r}")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that a diagnostic found.

    Args:
        what: What was looked at, in a few words: `C compiler`.
        found: What is there, in a line.
        remedy: What would make it better, or None.
        broken: Whether something that should work does not.
    """

    what: str
    found: str
    remedy: str | None = None
    broken: bool = False


class CobraHooks:
    """The hooks of plugin API v1. A plugin implements the ones it needs."""

    @hookspec
    def cobra_vision_encoders(self) -> Iterable[VisionEncoderSpec]:
        """Returns the vision encoders of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_projectors(self) -> Iterable[ProjectorSpec]:
        """Returns the projectors of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_fusion_schemes(self) -> Iterable[FusionSpec]:
        """Returns the fusion schemes of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_backbones(self) -> Iterable[BackboneSpec]:
        """Returns the backbones of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_data_sources(self) -> Iterable[DataSourceSpec]:
        """Returns the data sources of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_benchmarks(self) -> Iterable[BenchmarkSpec]:
        """Returns the benchmarks of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_scoring_rules(self) -> Iterable[ScoringRuleSpec]:
        """Returns the scoring rules of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_trackers(self) -> Iterable[TrackerSpec]:
        """Returns the trackers of this plugin."""
        raise NotImplementedError

    @hookspec
    def cobra_recipes(self) -> Iterable[Traversable]:
        """Returns recipe files (`importlib.resources` items or paths); each is listed as `plugin/name`."""
        raise NotImplementedError

    @hookspec
    def cobra_diagnostics(self) -> Iterable[DiagnosticSpec]:
        """Returns what `cobra-kit doctor` calls to learn how this plugin fares on this machine."""
        raise NotImplementedError


HOOKS: dict[str, tuple[Kind, type[ComponentSpec]]] = {
    "cobra_vision_encoders": ("vision_encoder", VisionEncoderSpec),
    "cobra_projectors": ("projector", ProjectorSpec),
    "cobra_fusion_schemes": ("fusion", FusionSpec),
    "cobra_backbones": ("backbone", BackboneSpec),
}

AnyExtensionSpec = ExtensionSpec | ScoringRuleSpec

EXTENSION_HOOKS: dict[str, tuple[ExtensionKind, type[AnyExtensionSpec]]] = {
    "cobra_data_sources": ("data_source", DataSourceSpec),
    "cobra_benchmarks": ("benchmark", BenchmarkSpec),
    "cobra_scoring_rules": ("scoring_rule", ScoringRuleSpec),
    "cobra_trackers": ("tracker", TrackerSpec),
}
