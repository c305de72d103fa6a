"""The C kernels on tensors, through ctypes: float32 on the CPU, no gradients.

Every function takes the loaded library first, so that the self-check can try one before anybody else uses it.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cobra_kit.errors import KernelError

KEPT_EVERY = 16
"""Tokens between two kept states; `K` in scan.h."""

MAX_STATE = 64
"""The largest number of states per channel; `MAXN` in scan.h."""

TAPS = 4
"""The convolution's length; `TAPS` in conv.c and step.h."""

NORM_PARTS = 8
"""Parts of the rows in which the gradient of a norm's weight is summed, whatever the number of threads."""

_P, _N, _I, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Gives the library's functions their types, so that a wrong call raises instead of crashing."""
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "cobra_lanes": (_I, []),
        "cobra_wait_briefly": (_I, [_I]),
        "cobra_scan_forward": (None, [_P] * 13 + [_N] * 9 + [_I]),
        "cobra_scan_backward": (_I, [_P] * 21 + [_N] * 12 + [_I]),
        "cobra_scan_step": (None, [_P] * 10 + [_N] * 9 + [_I] * 2),
        "cobra_conv_forward": (None, [_P] * 6 + [_N] * 4 + [_I]),
        "cobra_conv_backward": (None, [_P] * 10 + [_N] * 5 + [_I]),
        "cobra_conv_step": (None, [_P] * 5 + [_N] * 4),
        "cobra_decode_step": (None, [_P] * 6 + [_F] + [_N] * 6 + [_I]),
        "cobra_decode_work": (_N, [_N] * 5 + [_I]),
        "cobra_norm_forward": (None, [_P] * 3 + [_F] + [_P] * 3 + [_N] * 2 + [_I]),
        "cobra_norm_backward": (None, [_P] * 7 + [_N] * 3 + [_I]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@dataclass(frozen=True, slots=True)
class ScanInputs:
    """The inputs of a scan; shapes as in `scan.selective_scan`, all float32.

    Args:
        u: `[b s d]`; `dt` and `z` likewise.
        dt: Time steps before bias and softplus.
        A: Decay rates, `[d n]`.
        B: `[b s n]`; `C` likewise.
        C: What reads the state, `[b s n]`.
        D: `[d]` or None.
        z: The gate, or None.
        dt_bias: `[d]` or None.
        starts: `[b s]` uint8 or bool, or None: where a token begins a segment and sees no state.
    """

    u: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    dt_bias: Tensor | None
    starts: Tensor | None = None


@dataclass(frozen=True, slots=True)
class ScanGradients:
    """Places for those gradients of a scan that are parts of wider rows; None: its backward pass makes them.

    Args:
        B: `[b s n]`.
        C: `[b s n]`, with the same stride between tokens as B.
        z: `[b s d]`.
    """

    B: Tensor | None = None
    C: Tensor | None = None
    z: Tensor | None = None


def kept_shape(rows: int, length: int, channels: int, d_state: int, lanes: int) -> tuple[int, ...]:
    """Returns the shape of the states that the forward pass keeps for the backward pass."""
    return rows, -(-length // KEPT_EVERY), -(-channels // lanes), d_state, lanes


def scan_forward(
    library: ctypes.CDLL, x: ScanInputs, initial_state: Tensor | None, *, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the outputs `[b s d]`, the last state `[b d n]`, and with `keep` what `scan_backward` needs."""
    (rows, length, channels), d_state = x.u.shape, x.A.shape[1]
    (u, su), (dt, sdt), (B, sB), (C, sC) = _rows(x.u), _rows(x.dt), _rows(x.B), _rows(x.C)
    z, sz = (None, 0) if x.z is None else _rows(x.z)
    y, last = u.new_empty(rows, length, channels), u.new_empty(rows, channels, d_state)
    kept = u.new_empty(kept_shape(rows, length, channels, d_state, library.cobra_lanes()) if keep else 0)
    held = _dense(x.A, x.D, x.dt_bias, initial_state, x.starts)
    A, D, dt_bias, initial, starts = _pointers(*held)
    library.cobra_scan_forward(
        *(u.data_ptr(), dt.data_ptr(), A, B.data_ptr(), C.data_ptr(), D, _pointer(z), dt_bias),
        *(initial, starts, y.data_ptr(), last.data_ptr(), kept.data_ptr() if keep else None),
        *(rows, length, channels, d_state, su, sdt, sB, sC, sz, torch.get_num_threads()),
    )
    return y, last, kept


def scan_backward(
    library: ctypes.CDLL,
    x: ScanInputs,
    kept: Tensor,
    grad_y: Tensor,
    grad_last: Tensor | None,
    *,
    to: ScanGradients | None = None,
    initial: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Returns the gradients of u, dt, A, B, C, D, z, dt_bias and the initial state; None for what was None.

    Args:
        library: The loaded C kernels.
        x: The inputs of the forward pass.
        kept: What the forward pass kept, of `kept_shape`.
        grad_y: `[b s d]`.
        grad_last: `[b d n]`, or None for zeros.
        to: Where to write some of them.
        initial: Whether the initial state's gradient is wanted.

    Raises:
        KernelError: There is no memory.
    """
    to = to or ScanGradients()
    (rows, length, channels), d_state = x.u.shape, x.A.shape[1]
    (u, su), (dt, sdt), (B, sB), (C, sC) = _rows(x.u), _rows(x.dt), _rows(x.B), _rows(x.C)
    z, sz = (None, 0) if x.z is None else _rows(x.z)
    threads = torch.get_num_threads()
    splits = max(1, min(-(-threads // rows), -(-channels // library.cobra_lanes())))  # where rows feed too few threads
    du, ddt = u.new_empty(rows, length, channels), u.new_empty(rows, length, channels)
    dz = None if z is None else torch.empty_like(du) if to.z is None else to.z
    dA, dinitial = u.new_empty(rows, channels, d_state), u.new_empty(rows, channels, d_state) if initial else None
    dD = None if x.D is None else u.new_empty(rows, channels)
    dbias = None if x.dt_bias is None else u.new_empty(rows, channels)
    direct = splits == 1 and to.B is not None and to.C is not None
    dB = to.B if direct else u.new_empty(rows, splits, length, d_state)
    dC = to.C if direct else u.new_empty(rows, splits, length, d_state)
    assert dB is not None
    assert dC is not None
    held = _dense(x.A, x.D, x.dt_bias, x.starts, kept, grad_y, grad_last)
    A, D, dt_bias, starts, kept_at, gy, glast = _pointers(*held)
    failed = library.cobra_scan_backward(
        *(u.data_ptr(), dt.data_ptr(), A, B.data_ptr(), C.data_ptr(), D, _pointer(z), dt_bias),
        *(starts, kept_at, gy, glast, du.data_ptr(), ddt.data_ptr(), dA.data_ptr()),
        *_pointers(dB, dC, dD, dz, dbias, dinitial),
        *(rows, length, channels, d_state, su, sdt, sB, sC, sz),
        *(dB.stride(-2), 0 if dz is None else dz.stride(1), splits, threads),
    )
    if failed:
        raise KernelError("the C scan found no memory for its backward pass", hint="use a smaller batch")
    if not direct:
        dB, dC = dB.sum(1), dC.sum(1)
        if to.B is not None and to.C is not None:
            dB, dC = to.B.copy_(dB), to.C.copy_(dC)
    sums = dA.sum(0), dB, dC, None if dD is None else dD.sum(0)
    return du, ddt, *sums, dz, None if dbias is None else dbias.sum(0), dinitial


def conv_forward(
    library: ctypes.CDLL,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    before: Tensor | None = None,
    starts: Tensor | None = None,
) -> Tensor:
    """Returns silu of the causal convolution of x `[b s d]`; arguments as in `conv.causal_conv_silu`."""
    x, stride = _rows(x)
    y = x.new_empty(x.shape)
    held = _dense(weight, bias, before, starts)
    library.cobra_conv_forward(x.data_ptr(), *_pointers(*held), y.data_ptr(), *x.shape, stride, torch.get_num_threads())
    return y


def conv_backward(
    library: ctypes.CDLL,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    before: Tensor | None,
    starts: Tensor | None,
    grad_y: Tensor,
    *,
    to: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Returns the gradients of x `[b s d]` (written to `to` if given), weight, bias and `before`; None for None."""
    x, stride = _rows(x)
    rows, _, channels = x.shape
    dx = x.new_empty(x.shape) if to is None else to
    dweight = x.new_empty(rows, channels, TAPS)
    dbias = None if bias is None else x.new_empty(rows, channels)
    dbefore = None if before is None else x.new_zeros(rows, TAPS - 1, channels)
    held = _dense(weight, bias, before, starts, grad_y)
    library.cobra_conv_backward(
        *(x.data_ptr(), *_pointers(*held, dx, dbefore, dweight, dbias)),
        *(*x.shape, stride, dx.stride(1), torch.get_num_threads()),
    )
    return dx, dweight.sum(0), None if dbias is None else dbias.sum(0), dbefore


def norm_forward(
    library: ctypes.CDLL, x: Tensor, added: Tensor | None, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns s = x + added `[.. d]`, its RMS norm times the weight, and each row's 1 / rms; s is x without `added`."""
    held = x, added, weight = _dense(x, added, weight)
    total = x if added is None else torch.empty_like(x)
    y, rstd = torch.empty_like(x), x.new_empty(x.shape[:-1])
    library.cobra_norm_forward(
        *_pointers(*held), eps, *_pointers(None if added is None else total, y, rstd),
        *(rstd.numel(), x.shape[-1], torch.get_num_threads()),
    )  # fmt: skip
    return total, y, rstd


def norm_backward(
    library: ctypes.CDLL, total: Tensor, weight: Tensor, rstd: Tensor, grad_y: Tensor, grad_total: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of s `[.. d]` (see `norm_forward`), including `grad_total`'s share, and of the weight."""
    held = _dense(total, weight, rstd, grad_y, grad_total)
    dx, width = torch.empty_like(held[0]), weight.shape[0]
    dweight = weight.new_empty(NORM_PARTS, width)
    library.cobra_norm_backward(
        *_pointers(*held, dx, dweight), rstd.numel(), width, NORM_PARTS, torch.get_num_threads()
    )
    return dx, dweight.sum(0)


def conv_step(library: ctypes.CDLL, state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Pushes x `[b d]` into the state `[b d 4]` and writes silu of the convolution to `out` `[b d]`."""
    held = _dense(weight, bias)
    library.cobra_conv_step(
        *(state.data_ptr(), x.data_ptr(), *_pointers(*held), out.data_ptr()), *x.shape, x.stride(0), out.stride(0)
    )


def scan_step(library: ctypes.CDLL, state: Tensor, x: ScanInputs, out: Tensor, *, log_A: bool = False) -> None:
    """Advances the state `[b d n]` by one token, `[b d]` and `[b n]`, and writes the outputs to `out` `[b d]`.

    With `log_A`, `x.A` holds the logarithm of -A.
    """
    held = _dense(x.A, x.D, x.dt_bias)
    A, D, dt_bias = _pointers(*held)
    library.cobra_scan_step(
        *(state.data_ptr(), x.u.data_ptr(), x.dt.data_ptr(), A, x.B.data_ptr(), x.C.data_ptr()),
        *(D, _pointer(x.z), dt_bias, out.data_ptr(), *x.u.shape, x.A.shape[1]),
        *(x.u.stride(0), x.dt.stride(0), x.B.stride(0), x.C.stride(0), 0 if x.z is None else x.z.stride(0)),
        *(out.stride(0), log_A, torch.get_num_threads()),
    )


def _rows(x: Tensor) -> tuple[Tensor, int]:
    """Returns x `[b s d]`, copied if its strides are none the kernels take, and its stride between tokens."""
    rows, tokens, width = x.shape
    # A dimension of length 1 may have any stride: contiguous() does not put it right, so it is not asked.
    stride = x.stride(1) if tokens > 1 else x.stride(0)
    dense = width == 1 or x.stride(2) == 1
    if dense and (rows == 1 or tokens == 1 or x.stride(0) == tokens * stride):
        return x, stride
    return x.clone(memory_format=torch.contiguous_format), width


def _dense(*tensors: Tensor | None) -> Any:
    """Returns the tensors dense; they must be held while the kernel works on their memory."""
    return tuple(None if tensor is None else tensor.contiguous() for tensor in tensors)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _pointers(*tensors: Tensor | None) -> list[int | None]:
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]
