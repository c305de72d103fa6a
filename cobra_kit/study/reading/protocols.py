"""Columns by protocol: numbers of one benchmark that was asked in two ways stand apart and are never subtracted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Entry = Mapping[str, Any]


class Columns:
    """The columns that the scores of some runs stand in.

    The first protocol of a benchmark has the benchmark's name, others are numbered behind it. Scores that were written
    before protocols were stored stand with the first one: their rule alone is known, and told apart.

    Args:
        entries: (name, entry of `scores.json`) of every run, the reference's first.
    """

    def __init__(self, entries: Iterable[tuple[str, Entry]]) -> None:
        self._known: dict[str, dict[str, Entry]] = {}
        for name, entry in entries:
            protocols = self._known.setdefault(name, {})
            if (key := _key(entry)) is not None:
                protocols.setdefault(key, entry)

    def of(self, name: str, entry: Entry) -> str:
        """Returns the column of a benchmark's entry, such as `vqav2` or `vqav2 (2)`."""
        key, known = _key(entry), self._known.get(name, {})
        place = 0 if key is None else list(known).index(key)
        return f"{name} ({place + 1})" if place else name

    def remarks(self) -> list[str]:
        """Returns what distinguishes the columns of a benchmark that was asked in several ways, a line each."""
        lines = []
        for name, known in self._known.items():
            first, *others = [entry["protocol"] for entry in known.values()] or [None]
            for number, other in enumerate(others, start=2):
                differing = [key for key in first if first[key] != other.get(key)]
                words = ", ".join(f"{key} {_word(other.get(key))} and not {_word(first[key])}" for key in differing)
                lines.append(f"{name} ({number}) is asked in another way than {name}, and not compared: {words}")
        return lines


def _key(entry: Entry) -> str | None:
    protocol = entry.get("protocol")
    return None if protocol is None else json.dumps(protocol, sort_keys=True)


def _word(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
