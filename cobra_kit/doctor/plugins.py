"""Plugins that are broken, and what the others say about the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cobra_kit._plugins import PluginRecord, Registry
from cobra_kit._plugins.component import import_reference
from cobra_kit._plugins.quiet import stdout_to_stderr
from cobra_kit._plugins.words import one_line
from cobra_kit.errors import PluginError
from cobra_kit.plugin import Diagnosis, DiagnosticSpec


@dataclass(frozen=True, slots=True)
class PluginDiagnosis:
    """A diagnosis and the plugin that made it."""

    plugin: str
    diagnosis: Diagnosis


def plugin_problems(registry: Registry) -> list[str]:
    """Returns a line for each plugin that failed to load, and for each id that several packages claim."""
    lines = [
        f"plugin {record.label} is {record.status}: {record.error}" for record in registry.records if record.failed
    ]
    for plugin, claimants in registry.conflicts().items():
        lines.append(f"plugin id {plugin!r} is claimed by {' and '.join(claimants)}: uninstall all but one of them")
    return lines


def diagnoses(registry: Registry) -> list[PluginDiagnosis]:
    """Calls what plugins declared for the doctor; one that fails is a diagnosis too, and stops nothing."""
    return [
        PluginDiagnosis(record.plugin, diagnosis)
        for record in registry.records
        for spec in record.diagnostics
        for diagnosis in _called(record, spec)
    ]


def _called(record: PluginRecord, spec: DiagnosticSpec) -> Iterator[Diagnosis]:
    try:
        look = import_reference(spec.target, title=f"cannot import {spec.target}")
        with stdout_to_stderr():
            diagnoses = list(look())
        if wrong := [diagnosis for diagnosis in diagnoses if not isinstance(diagnosis, Diagnosis)]:
            raise PluginError(f"{spec.target} returned a {type(wrong[0]).__name__}, expected Diagnosis objects")
    except (Exception, SystemExit) as error:
        yield Diagnosis(spec.name, f"failed: {one_line(error)}", broken=True)
        return
    yield from diagnoses
