"""The C kernels as autograd functions, through ctypes: float32 on the CPU, channels a multiple of 8.

Every function takes the loaded library first, so that the self-check can try one before anybody else uses it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cobra_kit.errors import KernelError

LANES = 8
"""Channels of a vector; `V` in scan.c."""

KEPT_EVERY = 16
"""Tokens between two kept states; `K` in scan.c."""

MAX_STATE = 64
"""The largest number of states per channel; `MAXN` in scan.c."""

TAPS = 4
"""The convolution's length; `TAPS` in scan.c."""

LOG2_E = 1.4426950408889634

_P, _N, _I = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Gives the library's functions their types, so that a wrong call raises instead of crashing."""
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "cobra_scan_forward": (None, [_P] * 11 + [_N] * 9 + [_I]),
        "cobra_scan_backward": (_I, [_P] * 19 + [_N] * 10 + [_I]),
        "cobra_conv_forward": (None, [_P] * 4 + [_N] * 4 + [_I]),
        "cobra_conv_backward": (None, [_P] * 8 + [_N] * 4 + [_I]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def native_scan(
    library: ctypes.CDLL,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b s d]` and the last state `[b d n]`; shapes as in `scan.selective_scan`."""
    if dt_bias is None:
        dt_bias = u.new_zeros(u.shape[2])
    if initial_state is None:
        initial_state = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    tensors = (u, dt, A, B, C, D, z, dt_bias, initial_state)
    # Asked here, because inside of `forward` gradients are always off.
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y, state = _Scan.apply(library, keep, *tensors)
    return y, state


def native_conv(library: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Returns silu of the causal depthwise convolution of x `[b s d]`; weight `[d 4]`, bias `[d]`."""
    y: Tensor = _Conv.apply(library, x, weight, bias)
    return y


def _block(x: Tensor) -> Tensor:
    """Returns `[.. d n]` as `[.. d/8 n 8]`."""
    return x.reshape(*x.shape[:-2], -1, LANES, x.shape[-1]).transpose(-1, -2).contiguous()


def _unblock(x: Tensor) -> Tensor:
    """Returns `[.. d/8 n 8]` as `[.. d n]`."""
    return x.transpose(-1, -2).flatten(-3, -2)


def _rows(x: Tensor) -> tuple[Tensor, int]:
    """Returns x `[b s d]`, copied if its strides are none the kernels take, and its stride between tokens."""
    rows, tokens, width = x.shape
    # A dimension of length 1 may have any stride: contiguous() does not put it right, so it is not asked.
    stride = x.stride(1) if tokens > 1 else x.stride(0)
    dense = width == 1 or x.stride(2) == 1
    if dense and (rows == 1 or tokens == 1 or x.stride(0) == tokens * stride):
        return x, stride
    return x.clone(memory_format=torch.contiguous_format), width


def _pointers(*tensors: Tensor | None) -> list[int | None]:
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        library: ctypes.CDLL,
        keep: bool,
        u: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None,
        z: Tensor | None,
        dt_bias: Tensor,
        initial_state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        rows, length, channels = u.shape
        (u, su), (dt, sdt), (B, sB), (C, sC) = _rows(u), _rows(dt), _rows(B), _rows(C)
        z, sz = (None, 0) if z is None else _rows(z)
        D, dt_bias = None if D is None else D.contiguous(), dt_bias.contiguous()
        A2, state, y = _block(A * LOG2_E), _block(initial_state), u.new_empty(rows, length, channels)
        if state.data_ptr() == initial_state.data_ptr():
            state = state.clone()  # the kernel replaces it
        kept = None
        if keep:
            kept = u.new_empty(rows, -(-length // KEPT_EVERY), *A2.shape)
        sizes = (rows, length, channels, A.shape[1], su, sdt, sB, sC, sz)
        library.cobra_scan_forward(
            *_pointers(u, dt, A2, B, C, D, z, dt_bias, y, state, kept), *sizes, torch.get_num_threads()
        )
        if kept is not None:
            ctx.save_for_backward(u, dt, A2, B, C, D, z, dt_bias, kept)
            ctx.library, ctx.sizes = library, sizes
        return y, _unblock(state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        u, dt, A2, B, C, D, z, dt_bias, kept = ctx.saved_tensors
        rows, length, channels, d_state = ctx.sizes[:4]
        threads = torch.get_num_threads()
        splits = max(1, -(-threads // rows))  # of the channels, where the rows do not feed every thread
        du, ddt = u.new_empty(rows, length, channels), u.new_empty(rows, length, channels)
        dz = None if z is None else torch.empty_like(du)
        dA, dD, dbias = u.new_zeros(rows, *A2.shape), u.new_zeros(rows, channels), u.new_zeros(rows, channels)
        dB, dC = u.new_empty(rows, splits, length, d_state), u.new_empty(rows, splits, length, d_state)
        grad_y, dstate = grad_y.contiguous(), _block(grad_state)
        if dstate.data_ptr() == grad_state.data_ptr():
            dstate = dstate.clone()  # the kernel replaces it
        failed = ctx.library.cobra_scan_backward(
            *_pointers(u, dt, A2, B, C, D, z, dt_bias, grad_y, kept),
            *_pointers(du, ddt, dA, dB, dC, dD, dz, dbias, dstate),
            *ctx.sizes,
            splits,
            threads,
        )
        if failed:
            raise KernelError("the C scan found no memory for its backward pass", hint="use a smaller batch")
        sums = _unblock(dA.sum(0)), dB.sum(1), dC.sum(1), None if D is None else dD.sum(0)
        return None, None, du, ddt, *sums, dz, dbias.sum(0), _unblock(dstate)


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, library: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, stride = _rows(x)
        taps, bias = weight.t().contiguous(), bias.contiguous()
        y = x.new_empty(x.shape)
        library.cobra_conv_forward(*_pointers(x, taps, bias, y), *x.shape, stride, torch.get_num_threads())
        ctx.save_for_backward(x, taps, bias)
        ctx.library, ctx.stride = library, stride
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        x, taps, bias = ctx.saved_tensors
        rows, _, channels = x.shape
        scratch, dx = x.new_empty(x.shape), x.new_empty(x.shape)
        dtaps, dbias = x.new_zeros(rows, TAPS, channels), x.new_zeros(rows, channels)
        ctx.library.cobra_conv_backward(
            *_pointers(x, taps, bias, grad_y.contiguous(), scratch, dx, dtaps, dbias),
            *x.shape,
            ctx.stride,
            torch.get_num_threads(),
        )
        return None, dx, dtaps.sum(0).t(), dbias.sum(0)
