"""`cobra-kit plugins`: which components are installed, where they come from, and why one is missing."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from cobra_kit import columns
from cobra_kit._plugins import Component, Extension, PluginRecord, Registry, default_registry, metadata_registry
from cobra_kit.cli.arguments import UsageError
from cobra_kit.cli.options import JsonOption, show_help
from cobra_kit.cli.plugins_list import list_components, list_metadata, list_problems
from cobra_kit.cli.plugins_show import show_component, show_plugin
from cobra_kit.errors import PluginError
from cobra_kit.formatting import escaped_json
from cobra_kit.plugin import AnyKind

app = typer.Typer(help="Installed plugins and what they offer.", rich_markup_mode=None)
app.callback(invoke_without_command=True)(show_help)


class KindOption(StrEnum):
    """The values of `--kind`."""

    vision_encoder = "vision_encoder"
    projector = "projector"
    fusion = "fusion"
    backbone = "backbone"
    data_source = "data_source"
    benchmark = "benchmark"
    scoring_rule = "scoring_rule"
    tracker = "tracker"

    @property
    def kind(self) -> AnyKind:
        """Returns the kind."""
        return self.value


@app.command("list")
def list_plugins(
    kind: Annotated[KindOption | None, typer.Option("--kind", help="Only what is of this kind.")] = None,
    broken: Annotated[bool, typer.Option("--broken", help="Only plugins that are not usable, and why.")] = False,
    no_load: Annotated[bool, typer.Option("--no-load", help="Read metadata only; import no plugin.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what all installed plugins offer: parts of models, data, benchmarks, rules and trackers."""
    if kind and (broken or no_load):
        other = "--broken" if broken else "--no-load"
        raise UsageError(f"--kind cannot stand beside {other}, which lists plugins, not components")
    registry = metadata_registry() if no_load else default_registry()
    if as_json:
        typer.echo(escaped_json(json.dumps(_as_json(registry, kind.kind if kind else None, broken=broken), indent=2)))
        return
    limit = columns.width()
    if broken:
        lines = list_problems(registry, limit)
    elif no_load:
        lines = list_metadata(registry, limit)
    else:
        lines = list_components(registry, kind.kind if kind else None, limit)
    typer.echo("\n".join(lines))


@app.command("show")
def show(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="A plugin's id, or what it offers, such as PLUGIN/COMPONENT.")
    ],
) -> None:
    """Show a plugin, or one thing that it offers, with the fields of its config."""
    registry = default_registry()
    limit = columns.width()
    records = [record for record in registry.records if record.plugin == identity]
    if records:
        blocks = ["\n".join(show_plugin(record, limit)) for record in records]
        blocks += [str(error) for error in _conflict(registry, identity)]
        typer.echo("\n\n".join(blocks))
        return
    component = registry.find(identity)
    record = next(record for record in registry.records if component in record.declared)
    typer.echo("\n".join(show_component(component, record, limit)))


def _conflict(registry: Registry, plugin: str) -> list[PluginError]:
    try:
        registry.check_conflict(plugin)
    except PluginError as error:
        return [error]
    return []


def _as_json(registry: Registry, kind: AnyKind | None, *, broken: bool) -> dict[str, Any]:
    conflicts = registry.conflicts()
    records = registry.records
    if broken:
        records = [record for record in records if record.status not in ("ok", "found") or record.plugin in conflicts]
    return {
        "plugins": [_record_json(record) for record in records],
        "components": [] if broken else [_component_json(component) for component in registry.declared(kind)],
        "conflicts": conflicts,
    }


def _record_json(record: PluginRecord) -> dict[str, Any]:
    return {
        "id": record.plugin,
        "distribution": record.distribution,
        "api": record.api,
        "module": record.module,
        "status": record.status,
        "error": record.error,
        "seconds": round(record.seconds, 3),
        "recipes": sorted(record.recipes),
    }


def _component_json(component: Component | Extension) -> dict[str, Any]:
    return {
        "name": component.qualified,
        "kind": component.kind,
        "plugin": component.plugin,
        "distribution": component.distribution,
        "summary": component.spec.summary,
        "requires": list(component.spec.requires),
        "unfinished": component.spec.unfinished,
    }
