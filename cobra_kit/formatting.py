"""Numbers, durations and lists of names as text, the same everywhere a user reads them; and text of strangers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from cobra_kit.control_characters import escaped_json as escaped_json
from cobra_kit.control_characters import printable as printable
from cobra_kit.control_characters import printable_lines as printable_lines


def gigabytes(num_bytes: float) -> str:
    """Returns bytes as `7.1 GB`, as disks, weights and bandwidths are told."""
    return f"{num_bytes / 1e9:,.1f} GB"


def megabytes(num_bytes: float) -> str:
    """Returns bytes as `7.1 MB`."""
    return f"{num_bytes / 1e6:,.1f} MB"


def gibibytes(num_bytes: float, digits: int = 1) -> str:
    """Returns bytes as `7.1 GiB`, as systems and GPUs tell their memory."""
    return f"{num_bytes / 2**30:,.{digits}f} GiB"


def short_count(number: int) -> str:
    """Returns a number of parameters, such as `1.21 M`."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return str(number)


def duration(seconds: float) -> str:
    """Returns `1:52`, or `2:03:04` from an hour on: for times that stand in columns or count down."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration_with_units(seconds: float) -> str:
    """Returns `41 s`, `6 min 31 s`, `26.5 h`: for estimates, which may be of seconds or of weeks."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
    return f"{seconds / 3600:,.1f} h"


def plural(number: int, noun: str) -> str:
    """Returns `1 plugin`, `2 plugins`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def either(names: Sequence[str]) -> str:
    """Returns `a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def nearest(name: str, known: Iterable[str], *, most: int = 3, cutoff: float = 0.6) -> list[str]:
    """Returns the known names that look most like `name`, best first, each once.

    Args:
        name: The name that was asked for.
        known: The names that exist.
        most: How many to return at most.
        cutoff: How like it they must be, from 0 to 1.
    """
    return difflib.get_close_matches(name, sorted(set(known)), n=most, cutoff=cutoff)


def did_you_mean(names: Sequence[str], *, prefix: str = "") -> str | None:
    """Returns `did you mean a or b?`, or None where there are no names; a prefix stands before each."""
    return f"did you mean {either([prefix + name for name in names])}?" if names else None


def suggest(name: str, known: Iterable[str], *, what: str, prefix: str = "", most: int = 1, cutoff: float = 0.6) -> str:
    """Returns the hint for an unknown name: the nearest known ones, else all of them after `what`."""
    known = list(known)
    near = nearest(name, known, most=most, cutoff=cutoff)
    return did_you_mean(near, prefix=prefix) or f"{what}: {', '.join(known) or 'none'}"
