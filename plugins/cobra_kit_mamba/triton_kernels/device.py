"""Where a kernel is launched, and whether Triton interprets instead of compiling."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def interpreted() -> bool:
    """Returns whether kernels run in Triton's interpreter, on the CPU: `TRITON_INTERPRET=1` as Triton was imported."""
    import triton

    return bool(triton.knobs.runtime.interpret)


def launching_on(tensor: Tensor) -> AbstractContextManager[object]:
    """Returns a context in which kernels are launched on a tensor's device, whichever is the current one."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
