"""Differences between resolved recipes, as flat maps from path to value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MISSING: Any = object()
"""Stands for a path that one side does not have."""
_SOURCE = "data.source"


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """One path whose values differ; `MISSING` where a side has none."""

    path: str
    left: Any
    right: Any

    def within(self, factor: str) -> bool:
        """Returns whether the path is `factor` or lies below it."""
        return self.path == factor or self.path.startswith(f"{factor}.")


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Returns path -> value of all leaves; a list, and an empty mapping, is one leaf."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    flat: dict[str, Any] = {}
    for key, child in value.items():
        flat |= flatten(child, f"{path}.{key}" if path else str(key))
    return flat


def differences(left: Any, right: Any) -> list[SettingDifference]:
    """Returns where two nested values differ, in the order of the left one.

    Where a component (`use`) or the data source differs, its settings are left out: they belong to different ones.
    """
    a, b = flatten(left), flatten(right)
    changed = [
        SettingDifference(path, a.get(path, MISSING), b.get(path, MISSING))
        for path in dict.fromkeys((*a, *b))
        if not _same(a.get(path, MISSING), b.get(path, MISSING))
    ]
    choices = {d.path for d in changed if d.path.endswith(".use") or d.path == _SOURCE}
    swapped = tuple(path.rpartition(".")[0] + "." for path in choices)
    return [d for d in changed if d.path in choices or not d.path.startswith(swapped)]


def _same(left: Any, right: Any) -> bool:
    # 1, 1.0 and True are equal in Python, but not the same setting.
    return type(left) is type(right) and bool(left == right)
