"""Accelerators by name: speed, memory, and what an hour of one costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobra_kit.errors import CobraError
from cobra_kit.formatting import suggest

CPU = "cpu"
"""This machine; it is measured, not looked up."""

_PRICES = "RunPod, on demand, March 2026, as listed by deploybase.ai/articles/runpod-gpu-pricing (10 March 2026)"


@dataclass(frozen=True, slots=True)
class Hardware:
    """One kind of accelerator.

    Args:
        name: As `--hardware` takes it.
        label: As tables show it.
        peak_flops: Dense bfloat16 matrix products, FLOP/s (half of what is advertised with sparsity).
        memory: Bytes of one device.
        source: Where speed and memory are published.
        price: US dollars per hour of one device.
        price_source: Where and when that price was asked.
    """

    name: str
    label: str
    peak_flops: float
    memory: int
    source: str
    price: float
    price_source: str = _PRICES


HARDWARE = {
    hardware.name: hardware
    for hardware in (
        Hardware("a100", "A100-80GB", 312e12, 80 * 10**9, "NVIDIA A100 80GB SXM datasheet", 2.45),
        Hardware("h100", "H100", 989.4e12, 80 * 10**9, "NVIDIA H100 SXM datasheet", 4.76),
        Hardware("h200", "H200", 989.4e12, 141 * 10**9, "NVIDIA H200 SXM datasheet", 6.35),
    )
}
"""The accelerators that have listed figures, by name."""

NAMES = (*HARDWARE, CPU)
"""What `--hardware` takes."""


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names, each once, lower-cased; all there are where none is given.

    Raises:
        CobraError: A name is unknown.
    """
    known = dict.fromkeys(name.strip().lower() for name in names)
    for name in known:
        if name not in NAMES:
            raise CobraError(f"no hardware named {name!r}", where="--hardware", hint=suggest(name, NAMES, what="known"))
    return tuple(known) or NAMES
