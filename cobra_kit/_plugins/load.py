"""Imports one plugin and collects what it declares. Nothing a plugin does here harms another one or the host."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import PurePath

import pluggy
from packaging.requirements import InvalidRequirement, Requirement

from cobra_kit._plugins.component import Component
from cobra_kit._plugins.contain import Importing, importing
from cobra_kit._plugins.declared import Declared
from cobra_kit._plugins.extension import Extension
from cobra_kit._plugins.records import PluginRecord
from cobra_kit._plugins.words import KIND_WORDS, message_of
from cobra_kit.errors import PluginError
from cobra_kit.formatting import nearest, printable
from cobra_kit.plugin import EXTENSION_HOOKS, HOOKS, LONGEST_NAME, CobraHooks, DiagnosticSpec, plain_spec

ERRORS_VARIABLE = "COBRA_KIT_PLUGIN_ERRORS"

_PROJECT = "cobra_kit"
_RECIPES_HOOK = "cobra_recipes"
_DIAGNOSTICS_HOOK = "cobra_diagnostics"
_KNOWN_HOOKS = (*HOOKS, *EXTENSION_HOOKS, _RECIPES_HOOK, _DIAGNOSTICS_HOOK)
_MOST_DECLARED = 1000
"""Most things that a hook may declare: one that never ends would hang the host."""


def load_plugin(record: PluginRecord, load: Callable[[], object]) -> None:
    """Imports a plugin and fills its record: components, recipes, seconds; or the status `broken` and why.

    Args:
        record: A record with the status `found`.
        load: Imports the plugin and returns its module.

    Raises:
        PluginError: The plugin is broken and `COBRA_KIT_PLUGIN_ERRORS` is `raise`.
    """
    started, state = time.perf_counter(), Importing()
    try:
        with importing(f"plugin {record.label}", state):
            module = load()
            record.file = _file_of(module)
            _collect(record, module)
        record.status = "ok"
    except BaseException as error:  # whatever a stranger's module does, the host goes on
        if state.is_ours(error):
            raise
        message = message_of(error)
        record.status, record.error = "broken", message
        record.components, record.extensions, record.recipes, record.diagnostics = (), (), {}, ()
        if errors_raise():
            raise PluginError(f"plugin {record.label} is broken: {message}") from error
    finally:
        record.seconds = time.perf_counter() - started


def _file_of(module: object) -> str | None:
    """Returns the file of a module; one that is no path is taken away, since `inspect` reads those of all modules."""
    file = getattr(module, "__file__", None)
    if file is None or isinstance(file, str):
        return file
    module.__file__ = None  # type: ignore[attr-defined]
    return None


def errors_raise() -> bool:
    """Returns whether a plugin that fails is an error, as in continuous integration, instead of a warning."""
    return os.environ.get(ERRORS_VARIABLE) == "raise"


def _collect(record: PluginRecord, module: object) -> None:
    # One manager per plugin: pluggy validates the hooks, and every result is known to be this plugin's.
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(CobraHooks)
    manager.register(module, name=record.plugin)
    _check_hooks(manager, module)
    record.components = tuple(_components(record, manager))
    record.extensions = tuple(_extensions(record, manager))
    record.recipes = _recipes(manager)
    record.diagnostics = tuple(_diagnostics(manager))
    _check_unique(record.declared)


def _check_hooks(manager: pluggy.PluginManager, module: object) -> None:
    callers = manager.get_hookcallers(module) or []
    for caller in callers:
        optional = all(impl.optionalhook for impl in caller.get_hookimpls())
        if not caller.has_spec() and not optional:
            near = nearest(caller.name, _KNOWN_HOOKS, most=1)
            raise PluginError(f"unknown hook {caller.name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    implemented = {caller.name for caller in callers}
    unmarked = [name for name in _KNOWN_HOOKS if name not in implemented and hasattr(module, name)]
    if unmarked:
        raise PluginError(f"{unmarked[0]!r} is not marked with @hookimpl")
    if not implemented:
        raise PluginError(f"it implements no hook; the hooks are {', '.join(_KNOWN_HOOKS)}")


def _results(manager: pluggy.PluginManager, hook: str, expected: str) -> Iterator[object]:
    caller = getattr(manager.hook, hook)
    batches = caller()
    if len(batches) < len(caller.get_hookimpls()):
        raise PluginError(f"{hook} returned None, expected an iterable of {expected}")
    for batch in batches:
        if not isinstance(batch, Iterable):
            raise PluginError(f"{hook} returned a {type(batch).__name__}, expected an iterable of {expected}")
        items = list(itertools.islice(batch, _MOST_DECLARED + 1))
        if len(items) > _MOST_DECLARED:
            raise PluginError(f"{hook} returned more than {_MOST_DECLARED:,} {expected}, or never ends")
        yield from items


def _components(record: PluginRecord, manager: pluggy.PluginManager) -> Iterator[Component]:
    for hook, (kind, spec_type) in HOOKS.items():
        for spec in _results(manager, hook, spec_type.__name__):
            if not isinstance(spec, spec_type):
                raise PluginError(f"{hook} returned a {type(spec).__name__}, expected {spec_type.__name__}")
            plain = plain_spec(spec, spec_type)
            _check_requirements(plain.name, plain.requires)
            yield Component(kind, record.plugin, record.distribution, plain)


def _extensions(record: PluginRecord, manager: pluggy.PluginManager) -> Iterator[Extension]:
    for hook, (kind, spec_type) in EXTENSION_HOOKS.items():
        for spec in _results(manager, hook, spec_type.__name__):
            if not isinstance(spec, spec_type):
                raise PluginError(f"{hook} returned a {type(spec).__name__}, expected {spec_type.__name__}")
            plain = plain_spec(spec, spec_type)
            _check_requirements(plain.name, plain.requires)
            yield Extension(kind, record.plugin, record.distribution, plain)


def _check_requirements(name: str, requires: Iterable[str]) -> None:
    for text in requires:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            raise PluginError(f"requires of {name!r}: {text!r} is not a requirement") from error


def _recipes(manager: pluggy.PluginManager) -> dict[str, Traversable]:
    recipes: dict[str, Traversable] = {}
    for item in _results(manager, _RECIPES_HOOK, "recipe files"):
        if not isinstance(item, Traversable) or not item.is_file():
            raise PluginError(f"{_RECIPES_HOOK} returned {item!r}, expected a readable file (Traversable or Path)")
        name = PurePath(str.__str__(item.name))
        if len(name.stem) > LONGEST_NAME or printable(name.stem) != name.stem:
            raise PluginError(f"{_RECIPES_HOOK} returned a file with a name that cannot be shown: {name.stem[:40]!r}")
        if name.suffix not in (".yaml", ".yml"):
            raise PluginError(f"{_RECIPES_HOOK} returned {item.name!r}, expected a .yaml file")
        if name.stem in recipes:
            raise PluginError(f"it declares the recipe {name.stem!r} twice")
        recipes[name.stem] = item
    return recipes


def _diagnostics(manager: pluggy.PluginManager) -> Iterator[DiagnosticSpec]:
    for spec in _results(manager, _DIAGNOSTICS_HOOK, DiagnosticSpec.__name__):
        if not isinstance(spec, DiagnosticSpec):
            raise PluginError(f"{_DIAGNOSTICS_HOOK} returned a {type(spec).__name__}, expected DiagnosticSpec")
        yield plain_spec(spec, DiagnosticSpec)


def _check_unique(declared: Iterable[Declared]) -> None:
    seen: dict[str, str] = {}
    for item in declared:
        name, noun = item.spec.name, "component" if isinstance(item, Component) else KIND_WORDS[item.kind]
        if name in seen:
            raise PluginError(
                f"it declares the {noun} {name!r} twice"
                if seen[name] == noun
                else f"it declares {name!r} as a {seen[name]} and as a {noun}"
            )
        seen[name] = noun
