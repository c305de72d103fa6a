"""The causal depthwise convolution with SiLU, forward and backward, on tiles of tokens and channels.

A tile reads its inputs once for each tap; all but the first reading come from the cache. The gradient of an input needs
the slope of the SiLU at the tokens after it, which is computed again rather than kept.
"""

from __future__ import annotations

import triton
import triton.language as tl

from cobra_kit_mamba.triton_kernels.elementwise import place, silu, silu_slope

_LOOSE = ["length", "parts", "tiles_each"]
"""What is not compiled in: every prompt would compile anew."""


@triton.jit
def _input(x, before, t, d, is_channel, s_xt, s_xd, s_bt, s_bd, length, HAS_BEFORE: tl.constexpr, TAPS: tl.constexpr):
    """Returns the inputs at tokens t, `[t d]`; those before the first come from `before`, or are zeros."""
    at = t[:, None] * s_xt + d[None, :] * s_xd
    value = tl.load(x + at, ((t >= 0) & (t < length))[:, None] & is_channel[None, :], 0.0).to(tl.float32)
    if HAS_BEFORE:
        past = before + (t[:, None] + TAPS - 1) * s_bt + d[None, :] * s_bd
        value += tl.load(past, ((t < 0) & (t > -TAPS))[:, None] & is_channel[None, :], 0.0).to(tl.float32)
    return value


@triton.jit
def _starts_at(starts, t, length):
    return tl.load(starts + t, (t >= 0) & (t < length), 0) != 0


@triton.jit
def _convolved(
    x, before, weight, shift, starts, t, d, is_channel,
    s_xt, s_xd, s_bt, s_bd, s_wd, s_wt, length,
    HAS_BEFORE: tl.constexpr, HAS_STARTS: tl.constexpr, TAPS: tl.constexpr, BLOCK_T: tl.constexpr,
):  # fmt: skip
    """Returns the convolution before its SiLU at tokens t, `[t d]`."""
    y = tl.zeros((BLOCK_T, d.shape[0]), tl.float32) + shift[None, :]
    cut = t < -TAPS  # whether a segment starts between the tap's input and the token
    for i in tl.static_range(TAPS):
        value = _input(x, before, t - i, d, is_channel, s_xt, s_xd, s_bt, s_bd, length, HAS_BEFORE, TAPS)
        if HAS_STARTS:
            value = tl.where(cut[:, None], 0.0, value)
            cut = cut | _starts_at(starts, t - i, length)
        y += value * tl.load(weight + d * s_wd + (TAPS - 1 - i) * s_wt, is_channel, 0.0).to(tl.float32)[None, :]
    return y


@triton.jit(do_not_specialize=_LOOSE)
def conv_forward(
    x, weight, bias, before, starts, y,
    s_xb, s_xt, s_xd, s_wd, s_wt, s_bb, s_bt, s_bd, length, channels, parts, blocks,
    HAS_BIAS: tl.constexpr, HAS_BEFORE: tl.constexpr, HAS_STARTS: tl.constexpr,
    TAPS: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Writes y: `[b s d]` dense; one program per row, tile of tokens and block of channels."""
    b, part, block = place(blocks, parts)
    d = block * BLOCK_D + tl.arange(0, BLOCK_D)
    t = part * BLOCK_T + tl.arange(0, BLOCK_T)
    is_channel = d < channels
    shift = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_BIAS:
        shift = tl.load(bias + d, is_channel, 0.0).to(tl.float32)
    a = _convolved(
        x + b * s_xb, before + b * s_bb, weight, shift, starts + b * length, t, d, is_channel,
        s_xt, s_xd, s_bt, s_bd, s_wd, s_wt, length, HAS_BEFORE, HAS_STARTS, TAPS, BLOCK_T,
    )  # fmt: skip
    at = (b * length + t[:, None]) * channels + d[None, :]
    tl.store(y + at, silu(a).to(y.dtype.element_ty), (t < length)[:, None] & is_channel[None, :])


@triton.jit(do_not_specialize=_LOOSE)
def conv_backward(
    x, weight, bias, before, starts, grad_y, dx, dbefore, dweight, dbias,
    s_xb, s_xt, s_xd, s_wd, s_wt, s_bb, s_bt, s_bd, s_gb, s_gt, s_gd, length, channels, tiles_each, parts, blocks,
    HAS_BIAS: tl.constexpr, HAS_BEFORE: tl.constexpr, HAS_STARTS: tl.constexpr,
    TAPS: tl.constexpr, BLOCK_TAPS: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Writes dx `[b s d]`, dbefore `[b taps-1 d]`, dweight `[b parts taps d]` and dbias `[b parts d]`, all dense.

    A program takes `tiles_each` tiles after one another. The first begins at the tokens before the first.
    """
    b, part, block = place(blocks, parts)
    d = block * BLOCK_D + tl.arange(0, BLOCK_D)
    is_channel = d < channels
    shift = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_BIAS:
        shift = tl.load(bias + d, is_channel, 0.0).to(tl.float32)
    x += b * s_xb
    before += b * s_bb
    starts += b * length
    taps = tl.arange(0, BLOCK_TAPS)
    sum_weight = tl.zeros((BLOCK_TAPS, BLOCK_D), tl.float32)
    sum_bias = tl.zeros((BLOCK_D,), tl.float32)
    for k in range(tiles_each):
        s = (part * tiles_each + k) * BLOCK_T + tl.arange(0, BLOCK_T) - (TAPS - 1)
        own = _input(x, before, s, d, is_channel, s_xt, s_xd, s_bt, s_bd, length, HAS_BEFORE, TAPS)
        grad = tl.zeros((BLOCK_T, BLOCK_D), tl.float32)
        cut = s < -TAPS
        for i in tl.static_range(TAPS):
            t = s + i  # the token that sees input s through tap i
            a = _convolved(
                x, before, weight, shift, starts, t, d, is_channel,
                s_xt, s_xd, s_bt, s_bd, s_wd, s_wt, length, HAS_BEFORE, HAS_STARTS, TAPS, BLOCK_T,
            )  # fmt: skip
            here = ((t >= 0) & (t < length))[:, None] & is_channel[None, :]
            g = tl.load(grad_y + b * s_gb + t[:, None] * s_gt + d[None, :] * s_gd, here, 0.0).to(tl.float32)
            g *= silu_slope(a)
            if i == 0:
                sum_bias += tl.sum(tl.where(here, g, 0.0), 0)
            elif HAS_STARTS:
                cut = cut | _starts_at(starts, t, length)
            g = tl.where(here & (cut == 0)[:, None], g, 0.0)
            grad += g * tl.load(weight + d * s_wd + (TAPS - 1 - i) * s_wt, is_channel, 0.0).to(tl.float32)[None, :]
            sum_weight += tl.where(taps[:, None] == TAPS - 1 - i, tl.sum(g * own, 0)[None, :], 0.0)
        is_token = ((s >= 0) & (s < length))[:, None] & is_channel[None, :]
        tl.store(dx + (b * length + s[:, None]) * channels + d[None, :], grad.to(dx.dtype.element_ty), is_token)
        if HAS_BEFORE:
            at = (b * (TAPS - 1) + s[:, None] + TAPS - 1) * channels + d[None, :]
            tl.store(dbefore + at, grad.to(dbefore.dtype.element_ty), (s < 0)[:, None] & is_channel[None, :])
    at_part = (b * parts + part).to(tl.int64)
    at_weight = dweight + (at_part * TAPS + taps[:, None]) * channels + d[None, :]
    tl.store(at_weight, sum_weight, (taps < TAPS)[:, None] & is_channel[None, :])
    tl.store(dbias + at_part * channels + d, sum_bias, is_channel)
