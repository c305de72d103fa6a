"""The other kernels on tensors: convolution, norm, one token of decoding; any strides and floating dtype."""

from __future__ import annotations

import torch
from torch import Tensor

from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.triton_kernels import conv, norm, step
from cobra_kit_mamba.triton_kernels.device import as_bytes, interpreted, launching_on, multiprocessors


def conv_forward(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None
) -> Tensor:
    """Returns silu of the convolution, `[b s d]` in the dtype of x; see `conv.causal_conv_silu`."""
    rows, length, channels = x.shape
    bias, starts = _dense(bias), as_bytes(starts)
    y = x.new_empty(x.shape)
    block_t, block_d = _conv_block()
    parts, blocks = -(-length // block_t), -(-channels // block_d)
    with launching_on(x):
        conv.conv_forward[(rows * parts * blocks,)](
            *(x, weight, _or(bias, x), _or(before, x), _or(starts, x), y),
            *(*x.stride(), *weight.stride(), *_or(before, x).stride(), length, channels, parts, blocks),
            HAS_BIAS=bias is not None, HAS_BEFORE=before is not None, HAS_STARTS=starts is not None,
            TAPS=weight.shape[1], BLOCK_T=block_t, BLOCK_D=block_d, num_warps=4,
        )  # fmt: skip
    return y


def conv_backward(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None, grad_y: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Returns the gradients of x `[b s d]`, weight, bias and `before`; None for what was None."""
    (rows, length, channels), taps = x.shape, weight.shape[1]
    bias, starts = _dense(bias), as_bytes(starts)
    block_t, block_d = _conv_block()
    blocks, tiles = -(-channels // block_d), -(-(length + taps - 1) // block_t)
    # Eight programs of four warps fill a multiprocessor; the fewer programs, the fewer parts to add.
    each = 2 if interpreted() else max(1, min(16, rows * blocks * tiles // (8 * multiprocessors(x.device))))
    parts = -(-tiles // each)
    dx, dbefore = x.new_empty(x.shape), None if before is None else before.new_empty(before.shape)
    dweight = x.new_empty(rows, parts, taps, channels, dtype=torch.float32)
    dbias = x.new_empty(rows, parts, channels, dtype=torch.float32)
    with launching_on(x):
        conv.conv_backward[(rows * parts * blocks,)](
            *(x, weight, _or(bias, x), _or(before, x), _or(starts, x), grad_y, dx, _or(dbefore, x), dweight, dbias),
            *(*x.stride(), *weight.stride(), *_or(before, x).stride(), *grad_y.stride()),
            *(length, channels, each, parts, blocks),
            HAS_BIAS=bias is not None, HAS_BEFORE=before is not None, HAS_STARTS=starts is not None,
            TAPS=taps, BLOCK_TAPS=1 << (taps - 1).bit_length(), BLOCK_T=block_t, BLOCK_D=block_d, num_warps=4,
        )  # fmt: skip
    grad_weight = dweight.sum((0, 1)).t().to(weight.dtype).contiguous()
    return dx, grad_weight, None if bias is None else dbias.sum((0, 1)).to(bias.dtype), dbefore


def conv_step(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Pushes x `[b d]` into the state `[b d taps]` and writes silu of the convolution to `out` `[b d]`."""
    rows, channels = x.shape
    block = 8 if interpreted() else 64  # 5120 channels: 80 programs for one row
    with launching_on(x):
        step.conv_step[(-(-channels // block), rows)](
            *(state, x, weight, x if bias is None else bias.contiguous(), out, *state.stride(), *x.stride()),
            *(*weight.stride(), *out.stride(), channels),
            HAS_BIAS=bias is not None, TAPS=weight.shape[1], BLOCK_D=block, num_warps=2,
        )  # fmt: skip


def scan_step(state: Tensor, x: ScanInputs, out: Tensor, *, log_A: bool = False) -> None:
    """Advances the state `[b d n]` by one token, `[b d]` and `[b n]`, and writes the outputs to `out` `[b d]`.

    With `log_A`, `x.A` holds the logarithm of -A.
    """
    (rows, channels), d_state = x.u.shape, x.A.shape[1]
    block_n = 1 << (d_state - 1).bit_length()
    block = 8 if interpreted() else max(4, 512 // block_n)  # d 5120, n 16: 160 programs of two warps for one row
    u = x.u
    with launching_on(u):
        step.scan_step[(-(-channels // block), rows)](
            *(state, u, x.dt, x.A, x.B, x.C, _or(_dense(x.D), u), _or(x.z, u), _or(_dense(x.dt_bias), u), out),
            *(*state.stride()[:2], *u.stride(), *x.dt.stride(), *x.A.stride(), *x.B.stride(), *x.C.stride()),
            *(*_or(x.z, u).stride(), *out.stride(), channels, d_state),
            HAS_D=x.D is not None, HAS_Z=x.z is not None, HAS_BIAS=x.dt_bias is not None, LOG_A=log_A,
            BLOCK_D=block, BLOCK_N=block_n, num_warps=2,
        )  # fmt: skip


def norm_forward(x: Tensor, added: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Returns s = x + added `[.. d]` in the dtype of x, its RMS norm in the dtype of the weight, and 1 / rms."""
    width = x.shape[-1]
    flat, flat_added = _rows(x), None if added is None else _rows(added)
    y, rstd = x.new_empty(x.shape, dtype=weight.dtype), x.new_empty(x.shape[:-1], dtype=torch.float32)
    total = x if added is None else x.new_empty(x.shape)
    block = 1 << (width - 1).bit_length()
    with launching_on(x):
        norm.norm_forward[(rstd.numel(),)](
            *(flat, _or(flat_added, flat), weight.contiguous(), total, y, rstd),
            *(flat.stride(0), _or(flat_added, flat).stride(0), eps, width),
            HAS_ADDED=added is not None, BLOCK=block, num_warps=_warps(block),
        )  # fmt: skip
    return total, y, rstd


def norm_backward(
    total: Tensor, weight: Tensor, rstd: Tensor, grad_y: Tensor, grad_total: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of s `[.. d]` (see `norm_forward`), including `grad_total`'s share, and of the weight."""
    width, rows = total.shape[-1], rstd.numel()
    flat, flat_y, flat_grad = _rows(total), _rows(grad_y), _rows(total if grad_total is None else grad_total)
    programs = min(rows, 4 * multiprocessors(total.device))
    each = -(-rows // programs)
    programs = -(-rows // each)
    dx, dweight = total.new_empty(total.shape), total.new_empty(programs, width, dtype=torch.float32)
    block = 1 << (width - 1).bit_length()
    with launching_on(total):
        norm.norm_backward[(programs,)](
            *(flat, weight.contiguous(), rstd, flat_y, flat_grad, dx, dweight),
            *(flat.stride(0), flat_y.stride(0), flat_grad.stride(0), rows, each, width),
            HAS_TOTAL=grad_total is not None, BLOCK=block, num_warps=_warps(block),
        )  # fmt: skip
    return dx, dweight.sum(0).to(weight.dtype)


def _conv_block() -> tuple[int, int]:
    """Returns tokens and channels of a tile: (1, 800, 5120) makes 50 * 40 programs for 132 multiprocessors."""
    return (8, 8) if interpreted() else (16, 128)


def _warps(block: int) -> int:
    return max(1, min(16, block // 512))


def _rows(x: Tensor) -> Tensor:
    """Returns x `[.. d]` as `[r d]` with dense rows, copied only if its strides make that necessary."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if flat.stride(1) == 1 or flat.shape[1] == 1 else flat.contiguous()


def _dense(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    """Returns the tensor, or what stands for None: a kernel does not read it."""
    return other if tensor is None else tensor
