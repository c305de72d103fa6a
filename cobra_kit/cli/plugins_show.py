"""The text of `cobra-kit plugins show`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer

from cobra_kit import columns
from cobra_kit._plugins import Component, Extension, PluginRecord
from cobra_kit._plugins.words import KIND_WORDS
from cobra_kit.errors import PluginError
from cobra_kit.names import install_command

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of"}


def show_plugin(record: PluginRecord, limit: int | None) -> list[str]:
    """Returns a plugin's origin, its state, and what it declares."""
    facts = [
        ("package", record.distribution),
        ("module", record.module),
        ("file", record.file or "not imported"),
        ("api", record.api),
        ("status", f"{record.status}: {record.error}" if record.error else record.status),
    ]
    text = [typer.style(record.plugin, bold=True), *columns.rows(facts, flexible=1, limit=limit)]
    if record.components:
        table = [(item.qualified, KIND_WORDS[item.kind], _summary(item)) for item in record.components]
        text += ["", "components", *columns.rows(table, flexible=2, limit=limit)]
    if record.extensions:
        table = [(item.qualified, KIND_WORDS[item.kind], _summary(item)) for item in record.extensions]
        text += ["", "extensions", *columns.rows(table, flexible=2, limit=limit)]
    if record.recipes:
        text += ["", "recipes", *(f"  {record.plugin}/{stem}" for stem in sorted(record.recipes))]
    return text


def show_component(component: Component | Extension, record: PluginRecord, limit: int | None) -> list[str]:
    """Returns a component's origin, whether its requirements are met, and the fields of its config."""
    spec = component.spec
    facts = [
        ("package", component.distribution),
        ("file", record.file or "unknown"),
        ("rule" if component.kind == "scoring_rule" else "class", spec.target),
        *([("config", reference)] if (reference := component.config_reference) else []),
        ("requires", _requires(component)),
    ]
    text = [
        f"{typer.style(component.qualified, bold=True)}  {KIND_WORDS[component.kind]}",
        columns.paragraph(spec.summary, indent="  ", limit=limit),
        "",
        *columns.rows(facts, flexible=1, limit=limit),
    ]
    if spec.unfinished:
        text += ["", "not finished", columns.paragraph(spec.unfinished, indent="  ", limit=limit)]
    return [*text, "", "config", *_fields(component, limit)] if component.config_reference else text


def _summary(component: Component | Extension) -> str:
    return f"(not finished) {component.spec.summary}" if component.spec.unfinished else component.spec.summary


def _requires(component: Component | Extension) -> str:
    if not component.spec.requires:
        return "nothing more"
    unmet = component.unmet()
    parts = [f"{text} ({unmet.get(text, 'met')})" for text in component.spec.requires]
    remedy = f"; {install_command(unmet)}" if unmet else ""
    return ", ".join(parts) + remedy


def _fields(component: Component | Extension, limit: int | None) -> list[str]:
    try:
        config = component.load_config(check_requires=False)
    except PluginError as error:
        return [columns.paragraph(error.message, indent="  ", limit=limit)]
    lines = []
    for name, field in config.model_fields.items():
        lines.append(f"  {name}: {_type(field)}{_default(field)}")
        if field.description:
            lines.append(columns.paragraph(field.description, indent="      ", limit=limit))
    return lines or ["  no settings"]


def _type(field: FieldInfo) -> str:
    return _type_text(field.annotation) + _bounds(field.metadata)


def _type_text(annotation: Any) -> str:
    """Returns a type as one would write it: `int | None`, `'base' | 'chat'`, `tuple[int, ...]`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        metadata = [item for each in arguments[1:] for item in getattr(each, "metadata", [each])]
        return _type_text(arguments[0]) + _bounds(metadata)
    if origin in (Union, UnionType):
        return " | ".join(map(_type_text, arguments))
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if annotation in (None, NoneType):
        return "None"
    if annotation is ...:
        return "..."
    if origin is not None:
        return f"{_type_text(origin)}[{', '.join(map(_type_text, arguments))}]"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _bounds(metadata: Sequence[Any]) -> str:
    bounds = [
        f"{sign} {getattr(bound, attribute)}"
        for bound in metadata
        for attribute, sign in _BOUNDS.items()
        if getattr(bound, attribute, None) is not None
    ]
    return f" ({' and '.join(bounds)})" if bounds else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "  (required)"
    value = field.get_default(call_default_factory=True, validated_data={})
    return f" = {str(value) if isinstance(value, Path) else value!r}"
