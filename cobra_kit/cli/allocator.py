"""Keeps memory that was freed, for commands that train: each step needs the same again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT_BYTES, _LARGEST_BLOCK_BYTES = 256 << 20, 32 << 20


def keep_freed_memory() -> bool:
    """Asks the C library not to hand freed memory back to the system, and returns whether it agreed.

    A training step on the CPU allocates and frees the same tensors; without this, many of their pages are fetched anew
    every time (LOG.md). It is a setting of the whole process, so only our own commands make it, never the library.
    Only glibc has it.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)) and bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK_BYTES))
