"""The most memory that a stretch of work took."""

from __future__ import annotations

import torch

from cobra_kit.machine import forget_peak, resident_memory


def reset_peak(device: torch.device) -> None:
    """Forgets the peak so far, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    forget_peak()


def peak_bytes(device: torch.device) -> int | None:
    """Returns the peak since `reset_peak` in bytes: allocated by torch on a GPU, resident on the CPU.

    None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resident_memory(peak=True)
