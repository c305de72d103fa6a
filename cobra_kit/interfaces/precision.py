"""Autocast off around sensitive maths, on every device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which autocast leaves the types of operations on a device alone.

    `torch.autocast(device.type, enabled=False)` does the same and refuses the meta device, where parts are counted;
    there autocast never changes anything, so there is nothing to switch off.
    """
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
