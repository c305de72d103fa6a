"""Whether weights fit into memory, asked before they are loaded."""

from __future__ import annotations

from pathlib import Path

from cobra_kit.arguments import whole_number
from cobra_kit.errors import WeightsError
from cobra_kit.formatting import gibibytes

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def check_memory(num_bytes: int, *, where: str) -> None:
    """Refuses to load what cannot fit, so that nobody waits for the system to kill the process.

    Where the system does not say how much is available (anything but Linux), nothing is refused.

    Args:
        num_bytes: What loading takes at its peak.
        where: What is loaded, for the message.

    Raises:
        WeightsError: Less than that is available.
    """
    num_bytes = whole_number(num_bytes, "num_bytes")
    available = available_memory()
    if available is not None and num_bytes > available:
        raise WeightsError(
            f"loading needs {gibibytes(num_bytes)} of memory, and {gibibytes(available)} are available",
            where=where,
            hint="Choose a smaller dtype (bfloat16 takes half of float32) or a smaller model, end other programs, "
            "or use a machine with more memory.",
        )


def available_memory() -> int | None:
    """Returns the bytes that this process may still take: the machine's, or its container's where that is less.

    None where the system does not say.
    """
    limits = [_machine(), _cgroup2(), _cgroup1()]
    return min((limit for limit in limits if limit is not None), default=None)


def _machine() -> int | None:
    fields = _fields(_MEMINFO)
    return fields["MemAvailable:"] * 1024 if "MemAvailable:" in fields else None


def _cgroup2() -> int | None:
    limit, used = _number(_CGROUP / "memory.max"), _number(_CGROUP / "memory.current")
    # Pages of files that nobody has read lately are given back on demand: the kernel counts them as used.
    return _left(limit, used, _fields(_CGROUP / "memory.stat").get("inactive_file", 0))


def _cgroup1() -> int | None:
    folder = _CGROUP / "memory"
    limit, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")
    return _left(limit, used, _fields(folder / "memory.stat").get("total_inactive_file", 0))


def _left(limit: int | None, used: int | None, reclaimable: int) -> int | None:
    return None if limit is None or used is None else max(0, limit - used + reclaimable)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or "max": no limit
        return None


def _fields(path: Path) -> dict[str, int]:
    """Returns the numbers of a file of lines `name number ..`."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
