"""The selective scan of Mamba-1 as the model calls it: any floating dtype, any device, the fastest kernel that fits."""

from __future__ import annotations

from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import full_precision
from cobra_kit_mamba import decode_ops, scan_ops
from cobra_kit_mamba.decay import decay_rates, finite_rates
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.peers import Asked, peer_scan
from cobra_kit_mamba.scan_chunked import chunked_scan
from cobra_kit_mamba.scan_meta import meta_scan
from cobra_kit_mamba.selection import choose_scan, choose_step, compute_dtype, steppable, steppable_on_device
from cobra_kit_mamba.shapes import check_shapes


@overload
def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
    starts: Tensor | None = None,
    return_state: Literal[False] = False,
) -> Tensor: ...


@overload
def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
    starts: Tensor | None = None,
    return_state: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
    starts: Tensor | None = None,
    return_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Returns y `[b s d]` in the dtype of u; with `return_state` also the last state `[b d n]`.

    The equations stand in `scan_reference.py`. Time steps, decays and the state are float32 (float64 if any input
    is), whatever the other dtypes are and under autocast too. Gradients flow to every tensor, the initial state
    included.

    Args:
        u: Inputs, `[b s d]`.
        dt: Time steps before their bias and softplus, `[b s d]`; minus infinity leaves the state as it is.
        A: `[d n]`, negative; minus infinity counts as the lowest number of the dtype.
        B: `[b s n]`.
        C: `[b s n]`.
        D: The skip's factor, `[d]`, or None.
        z: The gate before its SiLU, `[b s d]`, or None.
        dt_bias: `[d]` or None.
        initial_state: `[b d n]`; None: zeros.
        starts: `[b s]`, true where a token begins a segment and sees no state; None: nowhere.
        return_state: Whether to return the last state too.

    Raises:
        ShapeError: The shapes do not belong together.
        KernelError: `COBRA_KIT_MAMBA_KERNEL` asks for a kernel that cannot be had.
    """
    _check_shapes(ScanInputs(u, dt, A, B, C, D, z, dt_bias, starts), initial_state)
    given = [t for t in (u, dt, A, B, C, D, z, dt_bias, initial_state) if t is not None]
    dtype = compute_dtype(*(tensor.dtype for tensor in given))
    needs_grad = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    read = tuple(tensor.dtype for tensor in (u, dt, B, C, z) if tensor is not None)
    asked = Asked(read, starts is not None, initial_state is not None, return_state and needs_grad)
    choice = choose_scan(u.device, dtype, A.shape[1], asked)
    kernel = "chunked" if u.numel() == 0 else choice.kernel  # nothing to do is nothing to hand to a kernel
    if kernel == "triton":
        y, state, _ = scan_ops.scan(u, dt, A, B, C, D, z, dt_bias, initial_state, starts, needs_grad)
        return (y, state) if return_state else y
    if kernel == "mamba_ssm":
        y, state = peer_scan(u, dt, A, B, C, D, z, dt_bias)
        return (y, state) if return_state else y
    needed = u.to(dtype), dt.to(dtype), finite_rates(A.to(dtype)), B.to(dtype), C.to(dtype)
    optional = _to(D, dtype), _to(z, dtype), _to(dt_bias, dtype), _to(initial_state, dtype)
    if kernel == "native":
        y, state, _ = scan_ops.scan(*needed, *optional, starts, needs_grad)
    elif u.is_meta:
        y, state = meta_scan(*needed, *optional)
    else:
        with full_precision(u.device):
            y, state = chunked_scan(*needed, *optional, starts)
    y = y.to(u.dtype)
    return (y, state) if return_state else y


def selective_step(
    state: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    dt_bias: Tensor,
    *,
    log_A: bool = False,
) -> Tensor:
    """Returns the outputs `[b d]` of one token and advances the state `[b d n]` in place.

    Args:
        state: `[b d n]`, float32 or float64; the computation takes its dtype.
        u: `[b d]`; `dt` and `z` likewise.
        dt: Time steps before their bias and softplus.
        A: Decay rates, or their logarithm, `[d n]`.
        B: `[b n]`; `C` likewise.
        C: What reads the state, `[b n]`.
        D: Factor of the skip, `[d]`.
        z: The gate before its SiLU.
        dt_bias: Bias of the time step, `[d]`.
        log_A: Whether A is given as the logarithm of -A, as models keep it: two kernels less per layer on a GPU.

    Raises:
        ShapeError: The shapes do not belong together.
        KernelError: `COBRA_KIT_MAMBA_KERNEL` asks for a kernel that cannot be had.
    """
    given = (u, dt, A, B, C, D, z, dt_bias)
    _check_step(state, ScanInputs(*given))
    dtypes = tuple(tensor.dtype for tensor in (state, *given))
    choice = choose_step(u.device, compute_dtype(*dtypes), d_state=A.shape[1], asked=Asked(dtypes))
    on_device = choice.kernel == "triton" and steppable_on_device(state, *given)
    if on_device or (choice.kernel == "native" and steppable(state, *given)):
        out = torch.empty_like(u, memory_format=torch.contiguous_format)
        decode_ops.scan_step(state, *given, out, log_A)
        return out
    dtype = state.dtype
    A = decay_rates(A, dtype) if log_A else finite_rates(A.to(dtype))
    wide, dt, B, C = u.to(dtype), F.softplus(dt.to(dtype) + dt_bias), B.to(dtype), C.to(dtype)
    state.mul_(torch.exp(dt.unsqueeze(-1) * A)).add_((dt * wide).unsqueeze(-1) * B.unsqueeze(1))
    y = (state @ C.unsqueeze(-1)).squeeze(-1) + D * wide
    return (y * F.silu(z.to(dtype))).to(u.dtype)


def _to(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)


def _check_shapes(inputs: ScanInputs, initial_state: Tensor | None) -> None:
    u, A = inputs.u, inputs.A
    if u.dim() != 3 or A.dim() != 2:
        raise ShapeError(f"the scan takes u [b s d] and A [d n], not {list(u.shape)} and {list(A.shape)}")
    (rows, length, channels), d_state = u.shape, A.shape[1]
    expected: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "dt": (inputs.dt, (rows, length, channels)),
        "A": (A, (channels, d_state)),
        "B": (inputs.B, (rows, length, d_state)),
        "C": (inputs.C, (rows, length, d_state)),
        "D": (inputs.D, (channels,)),
        "z": (inputs.z, (rows, length, channels)),
        "dt_bias": (inputs.dt_bias, (channels,)),
        "initial_state": (initial_state, (rows, channels, d_state)),
        "starts": (inputs.starts, (rows, length)),
    }
    check_shapes("the scan", "u", u.device, expected)


def _check_step(state: Tensor, inputs: ScanInputs) -> None:
    u, A = inputs.u, inputs.A
    if u.dim() != 2 or A.dim() != 2:
        raise ShapeError(f"a step of the scan takes u [b d] and A [d n], not {list(u.shape)} and {list(A.shape)}")
    (rows, channels), d_state = u.shape, A.shape[1]
    wide, narrow, each = (rows, channels), (rows, d_state), (channels,)
    expected: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {"state": (state, (rows, channels, d_state))}
    expected |= {
        "dt": (inputs.dt, wide),
        "A": (A, (channels, d_state)),
        "B": (inputs.B, narrow),
        "C": (inputs.C, narrow),
    }
    expected |= {"D": (inputs.D, each), "z": (inputs.z, wide), "dt_bias": (inputs.dt_bias, each)}
    check_shapes("the scan's step", "u", u.device, expected)
