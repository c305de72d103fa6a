"""Checks that weights fit into memory, before they are loaded."""

from __future__ import annotations

from cobra_kit.arguments import whole_number
from cobra_kit.errors import WeightsError
from cobra_kit.formatting import gibibytes
from cobra_kit.machine import available_memory


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
