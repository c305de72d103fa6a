"""Settings of a file that a profile it inherited lays others over: written, and never read under that profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cobra_kit.recipe.problems import ProblemAt, problem
from cobra_kit.recipe.tree import Node, Origin, dotted

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Replaced:
    """A setting that is written in a file and replaced by an inherited profile.

    Args:
        keys: The path of the setting.
        written: File and line of the setting.
        profile: File and line where the profile says something else.
    """

    keys: tuple[str, ...]
    written: Origin
    profile: Origin


def replaced_settings(body: Node, profile: Node, source: str) -> list[Replaced]:
    """Returns the settings that the file `source` writes and an inherited profile replaces.

    A profile of the file itself is no surprise: who writes both sees both.

    Args:
        body: The recipe without its profiles, everything it extends merged.
        profile: What the profile changes, merged along `extends` too.
        source: What the file is called in origins.
    """
    return list(_replaced(body, profile, source, ()))


def _replaced(body: Node, profile: Node, source: str, keys: tuple[str, ...]) -> Iterator[Replaced]:
    for key, above in profile.entries().items():
        below = body.get(key)
        if below is None:
            continue
        if isinstance(above.value, dict) and isinstance(below.value, dict):
            yield from _replaced(below, above, source, (*keys, key))
        elif below.origin.source == source != above.origin.source and below.plain() != above.plain():
            yield Replaced((*keys, key), below.origin, above.origin)


def other_data(body: Node, replaced: list[Replaced], profile: str) -> list[ProblemAt]:
    """Returns an error where a profile replaces the data that a file names: it would be trained on other rows."""
    hint = f"Put the section `data` under profiles.{profile} (and under others that are used), or name no data."
    return [
        problem(body, setting.keys, f"the profile {profile} of {setting.profile} replaces this data source", hint)
        for setting in replaced
        if setting.keys in (("data",), ("data", "source"))
    ]


def remark(replaced: list[Replaced], profile: str) -> str | None:
    """Returns in one sentence what a profile replaces, or None where it is nothing."""
    if not replaced:
        return None
    named = ", ".join(f"{dotted(setting.keys)} ({setting.written})" for setting in replaced[:_SHOWN])
    more = f" and {len(replaced) - _SHOWN} more" if len(replaced) > _SHOWN else ""
    return f"not read, for the profile {profile} says otherwise: {named}{more}; set it under profiles.{profile}"
