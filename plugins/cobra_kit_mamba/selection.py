"""The kernel that a call takes, and why: `COBRA_KIT_MAMBA_KERNEL` is one of `CHOICES`, `auto` if unset.

On a CPU `auto` takes the C kernels; on a GPU mamba_ssm's and causal_conv1d's where they are installed and can do what
is asked, else the Triton kernels of this package. Where neither can be had it takes plain PyTorch (`chunked`).
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cobra_kit.errors import KernelError
from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.native_calls import MAX_STATE, TAPS
from cobra_kit_mamba.peers import Asked, conv_obstacle, dual_obstacle, scan_obstacle
from cobra_kit_mamba.triton_kernels import MAX_STATE as TRITON_MAX_STATE
from cobra_kit_mamba.triton_kernels import MAX_TAPS as TRITON_MAX_TAPS
from cobra_kit_mamba.triton_kernels import MAX_WIDTH as TRITON_MAX_WIDTH
from cobra_kit_mamba.triton_loader import load_triton

SWITCH = "COBRA_KIT_MAMBA_KERNEL"
CHOICES = ("auto", "chunked", "native", "triton", "mamba_ssm")

Kernel = Literal["chunked", "native", "triton", "mamba_ssm"]
Obstacle = tuple[str, str | None]
"""Why a kernel cannot be taken, and what would help."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel and why it is taken.

    Args:
        library: The C kernels, or None for any other.
        reason: Why this one.
        remedy: What would make it faster, or None.
        on_device: Which kernels of a GPU, or None.
    """

    library: ctypes.CDLL | None
    reason: str
    remedy: str | None = None
    on_device: Literal["triton", "mamba_ssm"] | None = None

    @property
    def kernel(self) -> Kernel:
        """Returns the kernel's name, as the switch has it."""
        return self.on_device or ("chunked" if self.library is None else "native")


def compute_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """Returns the dtype of time steps, decays and states: float64 if any input has it, else float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def choose_scan(device: torch.device, dtype: torch.dtype, d_state: int, asked: Asked | None = None) -> Choice:
    """Returns the kernel of the scan.

    Args:
        device: The device that the tensors are on.
        dtype: The dtype computed in.
        d_state: States per channel.
        asked: The dtypes of the tensors and what else the call wants; None: nothing beside `dtype`.

    Raises:
        KernelError: The switch has an unknown value, or asks for a kernel that cannot be had.
    """
    asked = asked or Asked((dtype,))
    native = _native_obstacle(device, dtype) or _over("d_state", d_state, MAX_STATE)
    triton = _device_obstacle(device, dtype, asked) or _over("d_state", d_state, TRITON_MAX_STATE)
    return _choose(device, native, triton, triton or scan_obstacle(asked))


def choose_conv(device: torch.device, dtype: torch.dtype, taps: int, asked: Asked | None = None) -> Choice:
    """Returns the kernel of the convolution; arguments and errors as in `choose_scan`."""
    asked = asked or Asked((dtype,))
    native = _native_obstacle(device, dtype)
    if native is None and taps != TAPS:
        native = f"the convolution has {taps} taps, not {TAPS}", None
    triton = _device_obstacle(device, dtype, asked) or _over("the number of taps", taps, TRITON_MAX_TAPS)
    return _choose(device, native, triton, triton or conv_obstacle(taps, asked))


def choose_norm(device: torch.device, dtype: torch.dtype, width: int = 1, asked: Asked | None = None) -> Choice:
    """Returns the kernel of the norm; arguments and errors as in `choose_scan`. mamba_ssm's is not used."""
    asked = asked or Asked((dtype,))
    triton = _device_obstacle(device, dtype, asked) or _over("the width", width, TRITON_MAX_WIDTH)
    return _choose(device, _native_obstacle(device, dtype), triton, None, own_only=True)


def choose_step(
    device: torch.device,
    dtype: torch.dtype,
    *,
    d_state: int | None = None,
    taps: int | None = None,
    asked: Asked | None = None,
) -> Choice:
    """Returns the kernel that moves a state by one token: of the scan, of the convolution, or of both.

    mamba_ssm's is not used: it takes the logarithm of 1 + exp(dt) as it stands, and loses the small time steps.

    Args:
        device: The device that the tensors are on.
        dtype: The dtype computed in.
        d_state: States per channel; None: the scan's step is not asked for.
        taps: Tokens that the convolution sees; None: its step is not asked for.
        asked: What else the call wants, as `choose_scan` takes it.

    Raises:
        KernelError: As in `choose_scan`.
    """
    d_state, taps = d_state or 1, taps or TAPS
    native = _native_obstacle(device, dtype) or _over("d_state", d_state, MAX_STATE)
    if native is None and taps != TAPS:
        native = f"the convolution has {taps} taps, not {TAPS}", None
    triton = _device_obstacle(device, dtype, asked or Asked((dtype,))) or _over("d_state", d_state, TRITON_MAX_STATE)
    triton = triton or _over("the number of taps", taps, TRITON_MAX_TAPS)
    return _choose(device, native, triton, None, own_only=True)


def choose_dual(device: torch.device, asked: Asked) -> Choice:
    """Returns the kernel of Mamba-2's state space layer: mamba_ssm's or matrix products in PyTorch.

    Raises:
        KernelError: As in `choose_scan`; `native` and `triton` mean other layers and are not refused here.
    """
    wanted = wanted_kernel()
    obstacle: Obstacle | None = (f"the tensors are on {device.type}", None)
    if device.type == "cuda":
        obstacle = _device_obstacle(device, compute_dtype(*asked.dtypes), asked) or dual_obstacle(asked)
    if obstacle is None and wanted in ("auto", "mamba_ssm"):
        return _peer()
    if wanted == "mamba_ssm" and obstacle is not None:
        raise KernelError(
            f"{SWITCH}=mamba_ssm, but its state space layer cannot be used: {obstacle[0]}",
            hint=f"unset {SWITCH} to fall back to what fits",
        )
    reason = "matrix products over chunks; this version has no kernel of its own for them"
    if obstacle is not None and device.type == "cuda":
        return Choice(None, f"{reason}; {obstacle[0]}", obstacle[1])
    return Choice(None, reason)


def steppable(state: Tensor, *tensors: Tensor | None) -> bool:
    """Returns whether the C kernels can advance a state by one token: float32 as it lies in memory, no gradients.

    Args:
        state: A dense tensor `[b d n]`, or `[b d taps]` of the convolution.
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


def steppable_on_device(state: Tensor, *tensors: Tensor | None) -> bool:
    """Returns whether the Triton kernels can, for the same shapes: any dtype and strides, but no gradients."""
    given = [tensor for tensor in tensors if tensor is not None]
    dense = state.stride(-1) == 1
    return dense and state.numel() > 0 and not (torch.is_grad_enabled() and any(t.requires_grad for t in given))


def wanted_kernel() -> str:
    """Returns the value of the switch.

    Raises:
        KernelError: The value is none that is known.
    """
    wanted = os.environ.get(SWITCH) or "auto"
    if wanted not in CHOICES:
        raise KernelError(f"{SWITCH} is {wanted!r}", hint=f"set it to one of {', '.join(CHOICES)}, or unset it")
    return wanted


def _over(what: str, size: int, largest: int) -> Obstacle | None:
    return (f"{what} {size} is over {largest}", None) if size > largest else None


def _native_obstacle(device: torch.device, dtype: torch.dtype) -> Obstacle | None:
    """Returns why the C kernels cannot take such tensors; None if they can."""
    if device.type != "cpu":
        return f"the tensors are on {device.type}", None
    return _not_float32(dtype)


def _device_obstacle(device: torch.device, dtype: torch.dtype, asked: Asked) -> Obstacle | None:
    """Returns why kernels of a GPU cannot take such tensors; None if they can."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if torch.bfloat16 in asked.dtypes and major < 8:
            name = torch.cuda.get_device_name(device)
            return (
                f"{name} has compute capability {major}.{minor}, and bfloat16 needs 8.0 or higher",
                "use float16 or float32",
            )
    elif device.type != "cpu" or not _interpreting():
        return f"the tensors are on {device.type}, for which this version has no kernel of its own", None
    return _not_float32(dtype)


def _interpreting() -> bool:
    """Returns whether Triton would run on the CPU, which is for tests; asked for without importing it."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _not_float32(dtype: torch.dtype) -> Obstacle | None:
    if dtype == torch.float32:
        return None
    return f"the computation is in {str(dtype).removeprefix('torch.')}", "use float32"


def _choose(
    device: torch.device,
    native: Obstacle | None,
    triton: Obstacle | None,
    peer: Obstacle | None,
    *,
    own_only: bool = False,
) -> Choice:
    """Returns the kernel, given what stands in the way of each; `own_only`: there is no peer's for this."""
    wanted = wanted_kernel()
    if wanted == "chunked":
        return Choice(None, f"{SWITCH}=chunked", f"unset {SWITCH}")
    if wanted == "native" or (wanted == "auto" and device.type == "cpu"):
        choice = _native(native)
    elif wanted == "mamba_ssm" and not own_only:
        choice = Choice(None, *peer) if peer is not None else _peer()
    else:
        choice = _peer() if peer is None and not own_only and wanted == "auto" else _triton(device, triton, peer)
    if choice.kernel == "chunked" and wanted != "auto" and not (own_only and wanted == "mamba_ssm"):
        title = {"native": "the C kernels", "mamba_ssm": "mamba_ssm's kernels"}.get(wanted, "the Triton kernels")
        hint = f"unset {SWITCH} to fall back to {'plain PyTorch' if wanted != 'mamba_ssm' else 'what fits'}"
        raise KernelError(
            f"{SWITCH}={wanted}, but {title} cannot be used: {choice.reason}",
            hint=f"{choice.remedy}, or {hint}" if choice.remedy else hint,
        )
    return choice


def _native(obstacle: Obstacle | None) -> Choice:
    if obstacle is not None:
        return Choice(None, *obstacle)
    native = load_native()
    return Choice(native.library, native.reason, native.remedy)


def _peer() -> Choice:
    return Choice(None, "installed, and can do what is asked", on_device="mamba_ssm")


def _triton(device: torch.device, obstacle: Obstacle | None, peer: Obstacle | None) -> Choice:
    if obstacle is not None:
        return Choice(None, *obstacle)
    loaded = load_triton(device)
    if not loaded.usable:
        return Choice(None, loaded.reason, loaded.remedy)
    reason = loaded.reason if peer is None else f"{loaded.reason}; {peer[0]}"
    return Choice(None, reason, None, on_device="triton")
