"""The error for a name that no plugin provides: what is near it, and which plugins may be to blame."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit._plugins.declared import Declared
from cobra_kit._plugins.records import PluginRecord
from cobra_kit._plugins.words import KIND_WORDS
from cobra_kit.errors import PluginError
from cobra_kit.formatting import did_you_mean, nearest, plural
from cobra_kit.plugin import AnyKind


def unknown_component(
    kind: AnyKind, name: str, pool: Sequence[Declared], every: Sequence[Declared], records: Sequence[PluginRecord]
) -> PluginError:
    """Returns the error for a component that was not found.

    Args:
        kind: The kind asked for.
        name: The name asked for, qualified or short.
        pool: The components of that kind.
        every: The components of all kinds.
        records: All installed plugins, broken ones included.
    """
    message = f"no {KIND_WORDS[kind]} named {name!r}"
    near = did_you_mean(near_components(name, pool))
    hint = "  ".join(filter(None, [near, _where_to_look(kind, pool)]))
    return _error(message, name, [_other_kind(name, every), hint], records)


def unknown_name(name: str, every: Sequence[Declared], records: Sequence[PluginRecord]) -> PluginError:
    """Returns the error for a name that is neither a component nor a plugin.

    Args:
        name: The name asked for.
        every: The components of all kinds.
        records: All installed plugins, broken ones included.
    """
    near = list(dict.fromkeys([*nearest(name, (record.plugin for record in records)), *near_components(name, every)]))
    hint = "  ".join(filter(None, [did_you_mean(near), "cobra-kit plugins list shows all"]))
    return _error(f"no plugin or component named {name!r}", name, [hint], records)


def _error(message: str, name: str, lines: list[str], records: Sequence[PluginRecord]) -> PluginError:
    suspects = [record for record in records if record.status not in ("ok", "found")]
    provider = next((record for record in suspects if record.plugin == name.partition("/")[0]), None)
    if "/" in name and provider is not None:
        return PluginError(f"{message}: plugin {provider.label} is {provider.status}: {provider.error}")
    hint = [
        *lines,
        *_failed([record for record in suspects if record.failed]),
        _blocked([record for record in suspects if record.status == "blocked"]),
    ]
    return PluginError(message, hint="\n".join(filter(None, hint)))


def near_components(name: str, pool: Sequence[Declared]) -> list[str]:
    """Returns qualified names like `name`, which may be qualified or short; each once."""
    short = name.rpartition("/")[2]
    by_qualified = nearest(name, (component.qualified for component in pool))
    # A rule's short name has a slash of its own, so the whole name is looked for among short names, too.
    own = [component.spec.name for component in pool]
    names = [*nearest(short, own), *(nearest(name, own) if "/" in name else [])]
    by_short = [component.qualified for word in names for component in pool if component.spec.name == word]
    ordered = [*by_qualified, *by_short] if "/" in name else [*by_short, *by_qualified]
    return list(dict.fromkeys(ordered))[:3]


def _where_to_look(kind: AnyKind, pool: Sequence[Declared]) -> str:
    return (
        f"cobra-kit plugins list --kind {kind} shows all {len(pool)}" if pool else f"no {KIND_WORDS[kind]} is installed"
    )


def _other_kind(name: str, every: Sequence[Declared]) -> str:
    kinds = sorted({KIND_WORDS[component.kind] for component in every if component.qualified == name})
    return f"{name} is a {kinds[0]}" if kinds else ""


def _failed(records: Sequence[PluginRecord]) -> list[str]:
    if not records:
        return []
    head = f"{plural(len(records), 'plugin')} failed to load and may provide it:"
    if len(records) == 1:
        return [f"{head} {records[0].label}: {records[0].error}"]
    return [head, *(f"  {record.label}: {record.error}" for record in records)]


def _blocked(records: Sequence[PluginRecord]) -> str:
    if not records:
        return ""
    reasons = " and ".join(sorted({record.error for record in records}))
    return f"{plural(len(records), 'plugin')} {'is' if len(records) == 1 else 'are'} blocked ({reasons})"
