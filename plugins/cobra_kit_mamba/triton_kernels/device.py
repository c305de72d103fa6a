"""The device on which a kernel is launched, and whether Triton interprets instead of compiling."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from torch import Tensor


def interpreted() -> bool:
    """Returns whether kernels run in Triton's interpreter, on the CPU: `TRITON_INTERPRET=1` as Triton was imported."""
    import triton.language as tl
    from triton.runtime.jit import JITFunction

    return not isinstance(tl.sum, JITFunction)  # asked of a function of Triton's own: the variable may be set too late


def launching_on(tensor: Tensor) -> AbstractContextManager[object]:
    """Returns a context in which kernels are launched on a tensor's device, whichever is the current one."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


@cache
def multiprocessors(device: torch.device) -> int:
    """Returns how many there are; under the interpreter those of an H100, whose plan the tests then see."""
    return int(torch.cuda.get_device_properties(device).multi_processor_count) if device.type == "cuda" else 132


def as_bytes(starts: Tensor | None) -> Tensor | None:
    """Returns where segments start, `[b s]`, as dense bytes: a kernel reads no single bits."""
    if starts is None:
        return None
    return (starts if starts.dtype == torch.bool else starts.ne(0)).contiguous().view(torch.uint8)
