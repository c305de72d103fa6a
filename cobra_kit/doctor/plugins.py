"""Plugins that are broken, and what the others say about the machine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread

from cobra_kit._plugins import PluginRecord, Registry, contained, own_randomness
from cobra_kit._plugins.declared import import_reference
from cobra_kit._plugins.quiet import PrintsToStderr
from cobra_kit._plugins.watch import begin, end
from cobra_kit._plugins.words import message_of
from cobra_kit.errors import PluginError, kind_of
from cobra_kit.formatting import printable
from cobra_kit.plugin import Diagnosis, DiagnosticSpec

DIAGNOSTIC_SECONDS = 10
"""How long a plugin's diagnostic may take; it is called in a thread, so that one that hangs is left alone."""

_MOST_DIAGNOSES = 100
_LONGEST = 1000


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
    """Calls what plugins declared for the doctor; one that fails, or hangs, is a diagnosis too, and stops nothing."""
    return [
        PluginDiagnosis(record.plugin, diagnosis)
        for record in registry.records
        for spec in record.diagnostics
        for diagnosis in _called(record, spec)
    ]


def _called(record: PluginRecord, spec: DiagnosticSpec) -> list[Diagnosis]:
    answers: SimpleQueue[list[Diagnosis]] = SimpleQueue()

    def ask() -> None:
        with PrintsToStderr():
            answers.put(_answer(record, spec))

    thread = Thread(target=ask, name=f"diagnostic {record.plugin}/{spec.name}", daemon=True)
    number = begin(lambda: f"diagnostic {spec.name!r} of plugin {record.label}", hint=f"at most {DIAGNOSTIC_SECONDS} s")
    try:
        with contained(0):
            thread.start()
            return answers.get(timeout=DIAGNOSTIC_SECONDS)
    except Empty:
        what = f"{spec.target} has not answered for {DIAGNOSTIC_SECONDS} s, and is left alone"
        return [Diagnosis(spec.name, what, broken=True)]
    finally:
        end(number)


def _answer(record: PluginRecord, spec: DiagnosticSpec) -> list[Diagnosis]:
    try:
        title, what = f"cannot import {spec.target}", f"{spec.target} of plugin {record.label}"
        look = import_reference(spec.target, title=title, what=what)
        with own_randomness():
            given = list(islice(look(), _MOST_DIAGNOSES + 1))
        if len(given) > _MOST_DIAGNOSES:
            raise PluginError(f"{spec.target} returned more than {_MOST_DIAGNOSES} diagnoses, or never ends")
        return [_checked(diagnosis, spec) for diagnosis in given]
    except BaseException as error:  # in this thread nobody presses Ctrl-C
        return [Diagnosis(spec.name, f"failed: {message_of(error)}", broken=True)]


def _checked(diagnosis: object, spec: DiagnosticSpec) -> Diagnosis:
    """Returns a diagnosis as an object that is all ours, its texts a line each."""
    if not isinstance(diagnosis, Diagnosis):
        raise PluginError(f"{spec.target} returned a {type(diagnosis).__name__}, expected Diagnosis objects")
    texts: list[str] = []
    for name in ("what", "found", "remedy"):
        value: object = getattr(diagnosis, name)
        if not isinstance(value, str) and not (name == "remedy" and value is None):
            raise PluginError(f"{spec.target} returned a Diagnosis whose {name} is {kind_of(value)}, expected a text")
        texts.append(printable(str.__str__(value), _LONGEST) if isinstance(value, str) else "")
    return Diagnosis(texts[0], texts[1], None if diagnosis.remedy is None else texts[2], bool(diagnosis.broken))
