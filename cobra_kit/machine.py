"""Facts about this machine and what is installed on it, which numbers depend on. Importing it loads no torch."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cobra_kit
from cobra_kit.processes import output_of

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")
_OWN_STATUS, _OWN_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_VECTORS = (("avx512f", 512), ("avx2", 256), ("avx", 256), ("sse2", 128), ("asimd", 128), ("neon", 128))
_PACKAGES = ("torch", "numpy", "pillow", "timm", "open_clip_torch", "transformers", "tokenizers", "safetensors")
_BF16_CAPABILITY = (8, 0)  # Ampere
ROUNDING_SWITCHES = (
    "COBRA_KIT_MAMBA_KERNEL",
    "COBRA_KIT_MAMBA_ISA",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "ONEDNN_MAX_CPU_ISA",
    "NVIDIA_TF32_OVERRIDE",
)
"""Environment variables that choose instructions or kernels, and so the last digits of sums: ours, torch's, and those
of the libraries beneath it."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as torch sees it.

    Args:
        name: As the driver names it.
        memory: Bytes of memory in all.
        capability: Its compute capability, such as `9.0`.
        bfloat16: Whether it computes in bfloat16 itself.
    """

    name: str
    memory: int
    capability: str
    bfloat16: bool


def package_versions(names: Iterable[str]) -> dict[str, str | None]:
    """Returns the installed version of each distribution; None where it is not installed."""
    return {name: _version(name) for name in names}


def processor() -> str:
    """Returns the processor's model."""
    for line in _lines(_CPUINFO):  # platform.processor() is empty, or the architecture alone, on most Linux systems
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Returns how many logical cores this process may use: those it is bound to, or fewer where a control group, such
    as a container's, allows it less time than they have."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _group_share()
    return bound if share is None else max(1, min(bound, int(share)))


def _group_share(groups: Path = _GROUPS, own: Path = _OWN_GROUP) -> float | None:
    """Returns the cores' worth of time that control groups leave this process; None where they set no limit.

    A group has no more than any group it is in. Within a container its own path may not be seen, and the limit then
    stands at the top.

    Args:
        groups: Where control groups are mounted.
        own: The file that names this process's groups.
    """
    shares: list[float] = []
    for line in _lines(own):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has no controllers in this file; of version 1 each has a tree of its own.
        for top in (groups / controllers, groups / "cpu") if controllers else (groups, groups / "unified"):
            place = top / path.strip("/")
            inside = [folder for folder in (place, *place.parents) if folder.is_relative_to(top)]
            shares += [share for folder in inside for share in _share(folder)]
    return min(shares, default=None)


def _share(group: Path) -> list[float]:
    """Returns the cores' worth of time that one group has by cgroup v2 and v1; nothing where it sets no limit."""
    shares: list[float] = []
    quotas = [line.split() for line in _lines(group / "cpu.max")]
    quotas += [[*_lines(group / "cpu.cfs_quota_us"), *_lines(group / "cpu.cfs_period_us")]]
    for words in quotas:
        try:
            quota, period = (int(word) for word in words)
        except ValueError:  # `max`: no limit
            continue
        if quota > 0 and period > 0:
            shares.append(quota / period)
    return shares


def vector_bits() -> int | None:
    """Returns the width of the processor's vector registers in bits; None where the system does not say."""
    for line in _lines(_CPUINFO):
        if line.startswith(("flags", "Features")):
            flags = set(line.partition(":")[2].split())
            return next((bits for flag, bits in _VECTORS if flag in flags), None)
    return None


def cache_bytes() -> int | None:
    """Returns the size of the processor's largest cache; None where the system does not say."""
    sizes = [_size(text) for index in _CACHES.glob("index*") for text in _lines(index / "size")]
    return max((size for size in sizes if size is not None), default=None)


def memory_bytes() -> int | None:
    """Returns the machine's memory; None where the system does not say."""
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def available_memory() -> int | None:
    """Returns the bytes that this process may still take: the machine's, or its container's where that is less.

    None where the system does not say.
    """
    limits = [_free_memory(), _group_memory(), _older_group_memory()]
    return min((limit for limit in limits if limit is not None), default=None)


def _free_memory() -> int | None:
    fields = _fields(_MEMINFO)
    return fields["MemAvailable:"] * 1024 if "MemAvailable:" in fields else None


def _group_memory() -> int | None:
    limit, used = _number(_GROUPS / "memory.max"), _number(_GROUPS / "memory.current")
    # Pages of files that nobody has read lately are given back on demand: the kernel counts them as used.
    return _left(limit, used, _fields(_GROUPS / "memory.stat").get("inactive_file", 0))


def _older_group_memory() -> int | None:
    folder = _GROUPS / "memory"
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
    lines = [line.split() for line in _lines(path)]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}


def resident_memory(*, peak: bool = False) -> int | None:
    """Returns the bytes of memory that this process has, or had at most; None where the system does not say."""
    kilobytes = _fields(_OWN_STATUS).get("VmHWM:" if peak else "VmRSS:")
    return None if kilobytes is None else kilobytes * 1024


def forget_peak() -> bool:
    """Makes the peak of `resident_memory` what it is now; returns whether the system can."""
    try:
        _OWN_PEAK.write_text("5", encoding="ascii")  # proc(5): 5 resets the peak, other numbers something else
    except OSError:
        return False
    return True


def keeps_peak() -> bool:
    """Returns whether the system keeps the peak of `resident_memory`."""
    return _OWN_PEAK.exists()


def gpus() -> tuple[Gpu, ...]:
    """Returns the GPUs that torch sees."""
    import torch

    if not torch.cuda.is_available():
        return ()
    devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return tuple(
        Gpu(
            device.name,
            device.total_memory,
            f"{device.major}.{device.minor}",
            computes_bfloat16(device.major, device.minor),
        )
        for device in devices
    )


def computes_bfloat16(major: int, minor: int) -> bool:
    """Returns whether an NVIDIA GPU of a compute capability computes in bfloat16; older ones emulate it."""
    return (major, minor) >= _BF16_CAPABILITY


def driver_version() -> str | None:
    """Returns the version of NVIDIA's driver; None where `nvidia-smi` does not tell."""
    printed = output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return printed.splitlines()[0] if printed else None  # a line per GPU


def git_commit() -> str | None:
    """Returns the commit of the checkout that this package runs from, `+` behind it if files were changed since.

    None for an installed package, and where there is no git.
    """
    root = Path(cobra_kit.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    commit = output_of("git", "-C", str(root), "rev-parse", "HEAD")
    changed = output_of("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changed else commit


def rounding_environment() -> dict[str, str]:
    """Returns the variables of `ROUNDING_SWITCHES` that are set."""
    return {name: value for name in ROUNDING_SWITCHES if (value := os.environ.get(name))}


def session(device: str = "cpu") -> dict[str, Any]:
    """Returns facts about this process and machine, and the device it works on, as manifests have them."""
    import torch

    memory = memory_bytes()
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "cobra_kit": cobra_kit.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: number for name, number in package_versions(_PACKAGES).items() if number},
        "system": platform.platform(),
        "host": platform.node(),
        "processor": processor(),
        "vector_bits": vector_bits(),
        "cores": cores(),
        "memory_gib": None if memory is None else round(memory / 2**30, 1),
        "threads": torch.get_num_threads(),
        "environment": rounding_environment(),
        "device": device,
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _size(text: str) -> int | None:
    """Returns the bytes of a size as the kernel writes it: `48K`, `2M`."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = text.strip()[:-1], text.strip()[-1:]
    return int(number) * units[unit] if number.isdigit() and unit in units else None
