"""The text of `cobra-kit plugins list`."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from cobra_kit import columns
from cobra_kit._plugins import Component, Extension, PluginRecord, Registry
from cobra_kit._plugins.records import SLOW_SECONDS
from cobra_kit._plugins.words import KIND_WORDS
from cobra_kit.formatting import plural
from cobra_kit.plugin import ALL_KINDS, AnyKind


def list_components(registry: Registry, kind: AnyKind | None, limit: int | None) -> list[str]:
    """Returns what plugins declare by kind, then the plugins that are not usable, conflicts, and slow plugins."""
    kinds = [kind] if kind else list(ALL_KINDS)
    groups = {each: registry.declared(each) for each in kinds}
    every = [component for group in groups.values() for component in group]
    sources = {component.distribution for component in every}
    lines = columns.blocks([_row(component, sources) for component in every], flexible=1, limit=limit)
    text: list[str] = []
    for each, group in groups.items():
        if group:
            own = [line for block in lines[: len(group)] for line in block]
            text += [_heading(f"{KIND_WORDS[each]}s"), *own, ""]
            del lines[: len(group)]
    if len(sources) == 1:
        text += [f"all from {sources.pop()}", ""]
    if not every:
        text += [f"no {KIND_WORDS[kind] if kind else 'component'} is installed", ""]
    if not kind:
        text += _problems(registry, limit)
    text += _slow(registry.records)
    return text[:-1] if text[-1] == "" else text


def list_problems(registry: Registry, limit: int | None) -> list[str]:
    """Returns the plugins that are not usable, and why."""
    text = _problems(registry, limit)
    return text[:-1] if text else [f"all {plural(len(registry.records), 'plugin')} are ok"]


def list_metadata(registry: Registry, limit: int | None) -> list[str]:
    """Returns the plugins that metadata names; nothing was imported."""
    table = [(record.plugin, record.module, record.distribution) for record in registry.records]
    if not table:
        return ["no plugin is installed"]
    text = [_heading("plugins, not imported"), *columns.rows(table, flexible=1, limit=limit), ""]
    return (text + _problems(registry, limit))[:-1]


def _row(component: Component | Extension, sources: set[str]) -> tuple[str, ...]:
    mark = "(not finished) " if component.spec.unfinished else ""
    cells = (component.qualified, mark + component.spec.summary, component.distribution)
    # A column that says the same in every row takes room from the summaries; it becomes one line below the table.
    return cells if len(sources) > 1 else cells[:2]


def _problems(registry: Registry, limit: int | None) -> list[str]:
    text = []
    for status in ("broken", "incompatible", "blocked"):
        records = [record for record in registry.records if record.status == status]
        if records:
            text.append(_heading(f"{status} plugins"))
            for record in records:
                text += [f"  {record.label}", columns.paragraph(record.error, indent="      ", limit=limit)]
            text.append("")
    conflicts = registry.conflicts()
    if conflicts:
        text.append(_heading("plugin ids in conflict"))
        for plugin, claimants in conflicts.items():
            reason = f"claimed by {' and '.join(claimants)}; nothing named {plugin}/... can be used"
            text += [f"  {plugin}", columns.paragraph(reason, indent="      ", limit=limit)]
        text.append("")
    return text


def _slow(records: Sequence[PluginRecord]) -> list[str]:
    slow = [record for record in records if record.seconds > SLOW_SECONDS]
    if not slow:
        return []
    lines = [f"  {record.label} took {record.seconds:.1f} s" for record in slow]
    return [_heading("plugins that are slow to import"), *lines, ""]


def _heading(text: str) -> str:
    return typer.style(text, bold=True)
