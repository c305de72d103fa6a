"""The number of names that a message lists."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.formatting import printable

_SHOWN = 5
_LONGEST = 200


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Returns the first few names, and how many more there are."""
    more = f"{separator}and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return separator.join(printable(name, _LONGEST) for name in names[:_SHOWN]) + more
