"""The selective scan forward in three passes over chunks of the sequence, so that one row alone fills a GPU.

1. `local_states`: the state a chunk ends with if it begins with zeros, and the sum of its time steps, which gives the
   decay over the whole chunk: exp(A * sum).
2. `carried_states`: walks over the chunks, a few multiplications each; the state every chunk begins with.
3. `outputs`: the recurrence once more, now from the right state, and what it says.

Only decays, at most 1, are multiplied, never divided by. Nothing of size `b s d n` is ever in memory. Where segments
start the state is set to zero, not multiplied by it: a NaN does not pass.
"""

from __future__ import annotations

import triton
import triton.language as tl

from cobra_kit_mamba.triton_kernels.elementwise import finite_rate, place, row, silu, softplus

LOG2E = tl.constexpr(1.4426950408889634)
"""Decays are taken as 2 ** (x * LOG2E): the GPU has an instruction for 2 ** x, none for e ** x."""

_LOOSE = ["s_vd", "s_ud", "s_dtd", "s_zd", "s_yd", "s_Ad", "s_An", "s_sd", "s_hd", "s_ld", "s_ln", "s_0d"]
_LOOSE += ["length", "chunk", "chunks"]
"""What is not compiled in: strides between channels, for the layout; lengths, or every prompt would compile anew."""


@triton.jit(do_not_specialize=_LOOSE)
def local_states(
    u, dt, A, B, bias, starts, states, sums,
    s_vd, s_ub, s_ut, s_ud, s_dtb, s_dtt, s_dtd, s_Ad, s_An, s_Bb, s_Bt,
    s_sb, s_sc, s_sn, s_sd, length, channels, d_state, chunk, chunks, blocks,
    HAS_BIAS: tl.constexpr, HAS_STARTS: tl.constexpr,
    GROUP: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Pass 1. states: `[b chunks n d]`, sums: `[b chunks d]`; one program per row, chunk and block of channels."""
    b, c, block = place(blocks, chunks)
    d = (block * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)  # offsets of large batches do not fit 32 bits
    n = tl.arange(0, BLOCK_N)
    is_channel = d < channels
    is_state = n < d_state
    both = is_state[:, None] & is_channel[None, :]
    rate = finite_rate(tl.load(A + d[None, :] * s_Ad + n[:, None] * s_An, both, 0.0).to(tl.float32))
    shift = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_BIAS:
        shift = tl.load(bias + d * s_vd, is_channel, 0.0).to(tl.float32)
    u += b * s_ub + d * s_ud
    dt += b * s_dtb + d * s_dtd
    B += b * s_Bb + n
    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    first = c * chunk
    for t0 in range(0, chunk, GROUP):
        for j in tl.static_range(GROUP):
            t = first + t0 + j
            here = t < length
            # Minus infinity for what is not there: its softplus is 0, and such a token leaves the state as it is.
            x = tl.load(dt + t * s_dtt, is_channel & here, float("-inf")).to(tl.float32) + shift
            x = softplus(x)
            ut = tl.load(u + t * s_ut, is_channel & here, 0.0).to(tl.float32)
            Bt = tl.load(B + t * s_Bt, is_state & here, 0.0).to(tl.float32)
            if HAS_STARTS:
                fresh = tl.load(starts + b * length + t, here, 0) != 0
                h = tl.where(fresh, 0.0, h)
            h = tl.exp2((x * LOG2E)[None, :] * rate) * h + (x * ut)[None, :] * Bt[:, None]
            total += x
    where = b * s_sb + c * s_sc
    tl.store(states + where + n[:, None] * s_sn + d[None, :] * s_sd, h, both)
    tl.store(sums + (b * chunks + c) * channels + d * s_sd, total, is_channel)


@triton.jit(do_not_specialize=_LOOSE)
def carried_states(
    states, sums, A, fresh, initial, last,
    s_sb, s_sc, s_sn, s_sd, s_Ad, s_An, s_0b, s_0d, s_0n, s_lb, s_ld, s_ln, channels, d_state, chunks, blocks,
    HAS_STARTS: tl.constexpr, HAS_INITIAL: tl.constexpr, HAS_LAST: tl.constexpr, REVERSE: tl.constexpr,
    GROUP: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Pass 2: replaces what a chunk makes from zeros by what it begins with; `last` is what the last one ends with.

    With `REVERSE` the chunks are walked from the last to the first, as the state's gradient goes. fresh: `[b chunks]`,
    whether a segment starts in the chunk; one program per row, state number and block of channels.
    """
    b, n, block = place(blocks, d_state)
    d = (block * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)
    is_channel = d < channels
    rate = finite_rate(tl.load(A + d * s_Ad + n * s_An, is_channel, 0.0).to(tl.float32))
    h = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_INITIAL:
        h = tl.load(initial + b * s_0b + d * s_0d + n * s_0n, is_channel, 0.0).to(tl.float32)
    i = tl.arange(0, GROUP)
    # A group of chunks is read before one is written: a GPU waits for memory once per group, not once per chunk.
    for c0 in range(0, chunks, GROUP):
        c = c0 + i
        here = (c < chunks)[:, None] & is_channel[None, :]
        if REVERSE:
            c = chunks - 1 - c
        at = states + b * s_sb + c.to(tl.int64)[:, None] * s_sc + n * s_sn + d[None, :] * s_sd
        own = tl.load(at, here, 0.0)
        total = tl.load(sums + (b * chunks + c)[:, None] * channels + d[None, :] * s_sd, here, 0.0)
        decay = tl.exp2((total * LOG2E) * rate[None, :])
        begins = own
        for j in tl.static_range(GROUP):
            begins = tl.where(i[:, None] == j, h[None, :], begins)
            if HAS_STARTS:
                k = chunks - 1 - c0 - j if REVERSE else c0 + j
                h = tl.where(tl.load(fresh + b * chunks + k, c0 + j < chunks, 0) != 0, 0.0, h)
            h = row(decay, i, j) * h + row(own, i, j)
        tl.store(at, begins, here)
    if HAS_LAST:
        tl.store(last + b * s_lb + d * s_ld + n * s_ln, h, is_channel)


@triton.jit(do_not_specialize=_LOOSE)
def outputs(
    u, dt, A, B, C, D, z, bias, starts, begins, y, last,
    s_vd, s_ub, s_ut, s_ud, s_dtb, s_dtt, s_dtd, s_Ad, s_An, s_Bb, s_Bt, s_Cb, s_Ct, s_zb, s_zt, s_zd, s_yb, s_yt, s_yd,
    s_hb, s_hc, s_hn, s_hd, s_lb, s_ln, s_ld, length, channels, d_state, chunk, chunks, blocks,
    HAS_D: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_STARTS: tl.constexpr,
    HAS_BEGINS: tl.constexpr, GROUP: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Pass 3. begins: the state before each chunk, or the initial state of the only one; programs as in pass 1."""
    b, c, block = place(blocks, chunks)
    d = (block * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)
    n = tl.arange(0, BLOCK_N)
    is_channel = d < channels
    is_state = n < d_state
    both = is_state[:, None] & is_channel[None, :]
    rate = finite_rate(tl.load(A + d[None, :] * s_Ad + n[:, None] * s_An, both, 0.0).to(tl.float32))
    shift = tl.zeros((BLOCK_D,), tl.float32)
    skip = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_BIAS:
        shift = tl.load(bias + d * s_vd, is_channel, 0.0).to(tl.float32)
    if HAS_D:
        skip = tl.load(D + d * s_vd, is_channel, 0.0).to(tl.float32)
    u += b * s_ub + d * s_ud
    dt += b * s_dtb + d * s_dtd
    B += b * s_Bb + n
    C += b * s_Cb + n
    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    if HAS_BEGINS:
        h = tl.load(begins + b * s_hb + c * s_hc + n[:, None] * s_hn + d[None, :] * s_hd, both, 0.0).to(tl.float32)
    i = tl.arange(0, GROUP)
    first = c * chunk
    for t0 in range(0, chunk, GROUP):
        # The group's outputs are written together: a store between two tokens would hold up the next one's loads.
        rows = tl.zeros((GROUP, BLOCK_D), tl.float32)
        for j in tl.static_range(GROUP):
            t = first + t0 + j
            here = t < length
            x = tl.load(dt + t * s_dtt, is_channel & here, float("-inf")).to(tl.float32) + shift
            x = softplus(x)
            ut = tl.load(u + t * s_ut, is_channel & here, 0.0).to(tl.float32)
            Bt = tl.load(B + t * s_Bt, is_state & here, 0.0).to(tl.float32)
            Ct = tl.load(C + t * s_Ct, is_state & here, 0.0).to(tl.float32)
            if HAS_STARTS:
                h = tl.where(tl.load(starts + b * length + t, here, 0) != 0, 0.0, h)
            h = tl.exp2((x * LOG2E)[None, :] * rate) * h + (x * ut)[None, :] * Bt[:, None]
            out = tl.sum(h * Ct[:, None], 0)
            if HAS_D:
                out += skip * ut
            rows = tl.where(i[:, None] == j, out[None, :], rows)
        t = (first + t0 + i)[:, None]
        here = (t < length) & is_channel[None, :]
        if HAS_Z:
            rows *= silu(tl.load(z + b * s_zb + t * s_zt + d[None, :] * s_zd, here, 0.0).to(tl.float32))
        tl.store(y + b * s_yb + t * s_yt + d[None, :] * s_yd, rows.to(y.dtype.element_ty), here)
    if c == chunks - 1:
        tl.store(last + b * s_lb + n[:, None] * s_ln + d[None, :] * s_ld, h, both)
