"""One token of decoding, states in place: nothing is allocated or waited for, so a CUDA graph may hold it."""

from __future__ import annotations

import triton
import triton.language as tl

from cobra_kit_mamba.triton_kernels.elementwise import finite_rate, silu, softplus

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def scan_step(
    state, u, dt, A, B, C, D, z, bias, out,
    s_sb, s_sd, s_ub, s_ud, s_dtb, s_dtd, s_Ad, s_An, s_Bb, s_Bn, s_Cb, s_Cn, s_zb, s_zd, s_ob, s_od,
    channels, d_state,
    HAS_D: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, LOG_A: tl.constexpr,
    BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Advances the state `[b d n]`, its states side by side; A as it is or, with LOG_A, the logarithm of -A.

    Grid (blocks of channels, rows).
    """
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    is_channel = d < channels
    is_state = n < d_state
    both = is_channel[:, None] & is_state[None, :]
    x = tl.load(dt + b * s_dtb + d * s_dtd, is_channel, 0.0).to(tl.float32)
    if HAS_BIAS:
        x += tl.load(bias + d, is_channel, 0.0).to(tl.float32)
    x = softplus(x)
    ut = tl.load(u + b * s_ub + d * s_ud, is_channel, 0.0).to(tl.float32)
    rate = tl.load(A + d[:, None] * s_Ad + n[None, :] * s_An, both, 0.0).to(tl.float32)
    if LOG_A:  # models keep the logarithm; taken here, it costs no kernel of its own
        rate = -tl.exp(rate)
    rate = finite_rate(rate)
    Bt = tl.load(B + b * s_Bb + n * s_Bn, is_state, 0.0).to(tl.float32)
    Ct = tl.load(C + b * s_Cb + n * s_Cn, is_state, 0.0).to(tl.float32)
    at = state + b * s_sb + d[:, None] * s_sd + n[None, :]
    h = tl.exp2((x * LOG2E)[:, None] * rate) * tl.load(at, both, 0.0) + (x * ut)[:, None] * Bt[None, :]
    tl.store(at, h, both)
    y = tl.sum(h * Ct[None, :], 1)
    if HAS_D:
        y += tl.load(D + d, is_channel, 0.0).to(tl.float32) * ut
    if HAS_Z:
        y *= silu(tl.load(z + b * s_zb + d * s_zd, is_channel, 0.0).to(tl.float32))
    tl.store(out + b * s_ob + d * s_od, y.to(out.dtype.element_ty), is_channel)


@triton.jit
def conv_step(
    state, x, weight, bias, out, s_sb, s_sd, s_st, s_xb, s_xd, s_wd, s_wt, s_ob, s_od, channels,
    HAS_BIAS: tl.constexpr, TAPS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Advances the state, the last inputs `[b d taps]`, newest last; grid (blocks of channels, rows)."""
    b = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    is_channel = d < channels
    at = state + b * s_sb + d * s_sd
    new = tl.load(x + b * s_xb + d * s_xd, is_channel, 0.0)
    y = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_BIAS:
        y += tl.load(bias + d, is_channel, 0.0).to(tl.float32)
    for k in tl.static_range(TAPS):
        if k + 1 < TAPS:  # noqa: SIM108  # resolved as the kernel is compiled
            past = tl.load(at + (k + 1) * s_st, is_channel, 0.0)
        else:
            past = new.to(state.dtype.element_ty)
        tl.store(at + k * s_st, past, is_channel)
        y += past.to(tl.float32) * tl.load(weight + d * s_wd + k * s_wt, is_channel, 0.0).to(tl.float32)
    tl.store(out + b * s_ob + d * s_od, silu(y).to(out.dtype.element_ty), is_channel)
