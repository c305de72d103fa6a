"""Finds plugins in the metadata of installed packages; imports none of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cobra_kit import __version__
from cobra_kit._plugins.records import PLUGIN_ID, PluginRecord
from cobra_kit._plugins.words import one_line
from cobra_kit.formatting import printable
from cobra_kit.plugin import ENTRY_POINT_PREFIX, LONGEST_NAME, PLUGIN_API

ALLOW_VARIABLE = "COBRA_KIT_PLUGINS"

_GROUP = re.compile(re.escape(ENTRY_POINT_PREFIX) + r"(v\d+)")


def find_installed(*, enabled: bool = True) -> list[tuple[PluginRecord, EntryPoint]]:
    """Returns every plugin of the installed packages, ordered by package and id, each judged by metadata alone.

    Args:
        enabled: False marks all of them `blocked`, as `--no-plugins` does.

    Returns:
        Records with the status `found`, `blocked`, `incompatible`, or `broken` (unreadable metadata).
    """
    allowed = _allow_list()
    installed = []
    for distribution in _distributions():
        for record, entry_point in _entry_points(distribution):
            if record.status == "found" and len(record.plugin) > LONGEST_NAME:
                record.plugin, record.status = printable(record.plugin, LONGEST_NAME), "broken"
                record.error = f"its plugin id has more than {LONGEST_NAME} characters"
            if not enabled:
                record.status, record.error = "blocked", "--no-plugins"
            elif allowed is not None and record.plugin not in allowed:
                record.status, record.error = "blocked", f"not in {ALLOW_VARIABLE}"
            elif record.status == "found":
                try:
                    _judge(record, distribution)
                except Exception as error:  # damaged metadata: parsers raise whatever they please
                    record.status, record.error = "broken", f"malformed metadata: {one_line(error)}"
            installed.append((record, entry_point))
    return sorted(installed, key=lambda pair: (pair[0].distribution.lower(), pair[0].plugin, pair[0].module))


def unknown_allowed(plugins: set[str]) -> list[str]:
    """Returns the ids in `COBRA_KIT_PLUGINS` that no plugin has."""
    return sorted((_allow_list() or frozenset()) - plugins)


def _allow_list() -> frozenset[str] | None:
    value = os.environ.get(ALLOW_VARIABLE)
    if value is None:
        return None
    return frozenset(name.strip() for name in value.split(",") if name.strip())


def _distributions() -> Iterator[Distribution]:
    """Yields each package that declares plugins; of two copies on the path, the one that Python imports."""
    seen = set()
    for distribution in distributions():
        # One glance at the text first: parsing the metadata of every installed package takes longer than all the rest.
        if f"[{ENTRY_POINT_PREFIX}v" not in _entry_points_text(distribution):
            continue
        name = canonicalize_name(_name(distribution) or "")
        if name not in seen:
            seen.add(name)
            yield distribution


def _entry_points_text(distribution: Distribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except (UnicodeDecodeError, OSError):
        return ""  # a damaged package: nothing says that it has to do with us, so it must not stop us


def _name(distribution: Distribution) -> str | None:
    """Returns the package's name, or None where its metadata has none that can be read."""
    try:
        return printable(distribution.name, LONGEST_NAME) if distribution.name else None
    except Exception:  # what parsers raise over damaged metadata
        return None


def _version(distribution: Distribution) -> str:
    try:
        return printable(str(distribution.version), LONGEST_NAME)
    except Exception:
        return "of unknown version"


def _entry_points(distribution: Distribution) -> Iterator[tuple[PluginRecord, EntryPoint]]:
    name = _name(distribution)
    label = f"{name} {_version(distribution)}" if name else "a package without metadata"
    try:
        points = {
            (point.name, match[1], point.value): point
            for point in distribution.entry_points
            if (match := _GROUP.fullmatch(point.group))
        }
    except Exception as error:
        point = EntryPoint(name=label, value="", group="")
        record = PluginRecord(name or "unknown", label, "", "", "broken")
        record.error = f"malformed entry_points.txt: {one_line(error)}"
        yield record, point
        return
    ours = {plugin for plugin, api, _ in points if api == PLUGIN_API}
    for (plugin, api, value), point in points.items():
        # A package may serve several hosts: a plugin that speaks our API is not incompatible for speaking another too.
        if api == PLUGIN_API or plugin not in ours:
            yield PluginRecord(plugin, label, api, value), point


def _judge(record: PluginRecord, distribution: Distribution) -> None:
    if not PLUGIN_ID.fullmatch(record.plugin):
        record.status = "broken"
        record.error = f"bad plugin id {record.plugin!r}: lower-case letters and digits, joined by '-' or '.'"
    elif record.api != PLUGIN_API:
        record.status = "incompatible"
        record.error = f"it declares plugin API {record.api}, this cobra-kit speaks {PLUGIN_API}"
    else:
        _judge_requirement(record, distribution)


def _judge_requirement(record: PluginRecord, distribution: Distribution) -> None:
    """Checks the package's own requirement on cobra-kit again: `pip install --no-deps` ignores it."""
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            record.status, record.error = "broken", f"malformed requirement {text!r}: {one_line(error)}"
            return
        if canonicalize_name(requirement.name) != "cobra-kit":
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            wanted = f"cobra-kit{requirement.specifier}"
            record.status, record.error = "incompatible", f"it needs {wanted}, this is cobra-kit {__version__}"
            return
