"""The memory bandwidth that this device reaches, measured: what decoding one row at a time is held against.

Three passes over large buffers, the first two after the STREAM benchmark (McCalpin, 1995): a copy (one number read, one
written), a triad a + s * b (two read, one written), and a matrix times a vector, which reads only and is what decoding
one row does. Lines that a CPU reads before it writes them are not counted, as in STREAM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from cobra_kit.bench.timing import seconds
from cobra_kit.machine import cache_bytes
from cobra_kit.weights import available_memory

_TRIES, _COLUMNS = 5, 4096
_GPU_BYTES = 1 << 30
_CPU_BYTES, _CPU_MOST, _CACHES = 1 << 28, 1 << 29, 4
"""Per buffer: this many times the processor's largest cache, but no less than 256 MiB and no more than 512."""

_SHARE = 16
"""A buffer takes at most this part of the free memory; there are three."""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes per second, the best of several tries each.

    Args:
        copy: Reading and writing.
        triad: Reading two, writing one.
        read: Reading only: a matrix times a vector.
        buffer: Bytes of a buffer.
    """

    copy: float
    triad: float
    read: float
    buffer: int

    def or_better(self, other: Bandwidth) -> Bandwidth:
        """Returns the higher figures of two measurements: nothing disturbs a memory into being faster."""
        return Bandwidth(
            max(self.copy, other.copy), max(self.triad, other.triad), max(self.read, other.read), self.buffer
        )

    @property
    def best(self) -> float:
        """Returns the highest of them: the limit that shares are given of."""
        return max(self.copy, self.triad, self.read)


def measure_bandwidth(device: torch.device, *, size: int | None = None) -> Bandwidth:
    """Returns the bandwidth of a device's memory, with the threads that torch uses now.

    Args:
        device: The device whose memory is measured.
        size: Bytes of a buffer; None: large enough for the device.
    """
    size = size or _buffer_bytes(device)
    count = max(1, size // 4 // _COLUMNS) * _COLUMNS
    first, second, out = (torch.full((count,), float(value), device=device) for value in (1, 2, 3))
    matrix, vector = first.view(-1, _COLUMNS), second[:_COLUMNS]
    passes: tuple[tuple[Callable[[], object], int], ...] = (
        (lambda: out.copy_(first), 2),
        (lambda: torch.add(first, second, alpha=3.0, out=out), 3),
        (lambda: torch.mv(matrix, vector), 1),
    )
    copy, triad, read = (
        buffers * count * 4 / min(seconds(device, work) for _ in range(_TRIES)) for work, buffers in passes
    )
    return Bandwidth(copy, triad, read, count * 4)


def _buffer_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return min(_GPU_BYTES, free // _SHARE)
    wanted = min(_CPU_MOST, max(_CPU_BYTES, _CACHES * (cache_bytes() or 0)))
    available = available_memory()
    return wanted if available is None else min(wanted, available // _SHARE)
