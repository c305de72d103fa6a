"""Which kernel a call takes, and why: `COBRA_KIT_MAMBA_KERNEL` is `auto` (the default), `chunked` or `native`."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

import torch
from torch import Tensor

from cobra_kit.errors import KernelError
from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.native_calls import MAX_STATE, TAPS

SWITCH = "COBRA_KIT_MAMBA_KERNEL"
CHOICES = ("auto", "chunked", "native")


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel and why it is taken.

    Args:
        library: The C kernels, or None for plain PyTorch.
        reason: Why this one.
        remedy: What would make it faster, or None.
    """

    library: ctypes.CDLL | None
    reason: str
    remedy: str | None = None


def compute_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """Returns the dtype of time steps, decays and states: float64 if any input has it, else float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def choose_scan(device: torch.device, dtype: torch.dtype, d_state: int) -> Choice:
    """Returns the kernel of the scan; `dtype` is the one computed in.

    Raises:
        KernelError: The switch has an unknown value, or asks for a kernel that cannot be had.
    """
    obstacle = _obstacle(device, dtype)
    if obstacle is None and d_state > MAX_STATE:
        obstacle = f"d_state {d_state} is over {MAX_STATE}", None
    return _choose(obstacle)


def choose_conv(device: torch.device, dtype: torch.dtype, taps: int) -> Choice:
    """Returns the kernel of the convolution; arguments and errors as in `choose_scan`."""
    obstacle = _obstacle(device, dtype)
    if obstacle is None and taps != TAPS:
        obstacle = f"the convolution has {taps} taps, not {TAPS}", None
    return _choose(obstacle)


def choose_norm(device: torch.device, dtype: torch.dtype) -> Choice:
    """Returns the kernel of the norm; arguments and errors as in `choose_scan`."""
    return _choose(_obstacle(device, dtype))


def steppable(state: Tensor, *tensors: Tensor | None) -> bool:
    """Returns whether the C kernels can advance a state by one token: float32 as it lies in memory, no gradients.

    Args:
        state: Dense.
        tensors: What is read; the last dimension of each without gaps.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    return (
        state.is_contiguous()
        and state.numel() > 0
        and all(tensor.dtype == torch.float32 for tensor in (state, *given))
        and all(tensor.stride(-1) == 1 for tensor in given)
        and not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given))
    )


def _obstacle(device: torch.device, dtype: torch.dtype) -> tuple[str, str | None] | None:
    """Returns why the C kernels cannot take such tensors, and the remedy; None if they can."""
    if device.type != "cpu":
        return f"the tensors are on {device.type}, for which this version has no kernel of its own", None
    if dtype != torch.float32:
        return f"the computation is in {str(dtype).removeprefix('torch.')}", "use float32"
    return None


def _choose(obstacle: tuple[str, str | None] | None) -> Choice:
    wanted = os.environ.get(SWITCH) or "auto"
    if wanted not in CHOICES:
        raise KernelError(f"{SWITCH} is {wanted!r}", hint=f"set it to one of {', '.join(CHOICES)}, or unset it")
    if wanted == "chunked":
        return Choice(None, f"{SWITCH}=chunked", f"unset {SWITCH}")
    if obstacle is None:
        native = load_native()
        if native.library is not None:
            return Choice(native.library, native.reason)
        obstacle = native.reason, native.remedy
    reason, remedy = obstacle
    if wanted == "native":
        hint = f"unset {SWITCH} to fall back to plain PyTorch"
        raise KernelError(
            f"{SWITCH}=native, but the C kernels cannot be used: {reason}",
            hint=f"{remedy}, or {hint}" if remedy else hint,
        )
    return Choice(None, reason, remedy)
