"""How many names a message lists."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 5


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Returns the first few names, and how many more there are."""
    more = f"{separator}and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return separator.join(names[:_SHOWN]) + more
