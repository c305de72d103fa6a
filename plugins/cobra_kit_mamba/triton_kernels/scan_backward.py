"""The selective scan backward: nothing of the forward pass is kept, the states of a chunk live in registers only.

1. `chunk_sums`: a chunk's own last state, as in the forward pass, and beside it what the chunk alone sends back: the
   gradient of the state it begins with. One exponential serves both.
2. `scan_forward.carried_states` twice: forwards for the states, backwards for their gradients.
3. `gradients`: for one state number after the other, both recurrences over the chunk's tokens, and all gradients.

Sums over channels (for B, C) and over tokens (for A, D, the bias) are written in parts, which `torch.sum` adds. There
is no atomic addition: the same input gives the same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

from cobra_kit_mamba.triton_kernels.elementwise import finite_rate, place, row, sigmoid, silu, silu_slope, softplus

LOG2E = tl.constexpr(1.4426950408889634)

_LOOSE = ["s_vd", "s_ud", "s_dtd", "s_zd", "s_gd", "s_Ad", "s_An", "s_sd", "s_od"]
_LOOSE += ["length", "chunks", "chunks_each", "parts", "rows"]
"""As in `scan_forward.py`."""


@triton.jit(do_not_specialize=_LOOSE)
def chunk_sums(
    u, dt, A, B, C, z, bias, starts, grad_y, states, grads, sums,
    s_vd, s_ub, s_ut, s_ud, s_dtb, s_dtt, s_dtd, s_Ad, s_An, s_Bb, s_Bt, s_Cb, s_Ct, s_zb, s_zt, s_zd, s_gb, s_gt, s_gd,
    s_sb, s_sc, s_sn, s_sd, length, channels, d_state, chunks, blocks,
    HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_STARTS: tl.constexpr,
    CHUNK: tl.constexpr, GROUP: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Pass 1. states and grads: `[b chunks n d]`, sums: `[b chunks d]`; programs as in the forward pass."""
    b, c, block = place(blocks, chunks)
    d = (block * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)
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
    z += b * s_zb + d * s_zd
    grad_y += b * s_gb + d * s_gd
    B += b * s_Bb + n
    C += b * s_Cb + n
    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    sent = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    left = tl.full((BLOCK_N, BLOCK_D), 1.0, tl.float32)  # of the chunk's first state at this token: decays multiplied
    total = tl.zeros((BLOCK_D,), tl.float32)
    seen = b < 0  # whether a segment has started: then nothing goes back any more
    for t0 in range(0, CHUNK, GROUP):
        for j in tl.static_range(GROUP):
            t = c * CHUNK + t0 + j
            here = t < length
            x = tl.load(dt + t * s_dtt, is_channel & here, float("-inf")).to(tl.float32) + shift
            x = softplus(x)
            ut = tl.load(u + t * s_ut, is_channel & here, 0.0).to(tl.float32)
            g = tl.load(grad_y + t * s_gt, is_channel & here, 0.0).to(tl.float32)
            if HAS_Z:
                g *= silu(tl.load(z + t * s_zt, is_channel & here, 0.0).to(tl.float32))
            Bt = tl.load(B + t * s_Bt, is_state & here, 0.0).to(tl.float32)
            Ct = tl.load(C + t * s_Ct, is_state & here, 0.0).to(tl.float32)
            decay = tl.exp2((x * LOG2E)[None, :] * rate)
            left *= decay
            back = left * (g[None, :] * Ct[:, None])
            if HAS_STARTS:
                fresh = tl.load(starts + b * length + t, here, 0) != 0
                h = tl.where(fresh, 0.0, h)
                seen = seen | fresh
                back = tl.where(seen, 0.0, back)
            sent += back
            h = decay * h + (x * ut)[None, :] * Bt[:, None]
            total += x
    at = b * s_sb + c * s_sc + n[:, None] * s_sn + d[None, :] * s_sd
    tl.store(states + at, h, both)
    tl.store(grads + at, sent, both)
    tl.store(sums + (b * chunks + c) * channels + d * s_sd, total, is_channel)


@triton.jit(do_not_specialize=_LOOSE)
def gradients(
    u, dt, A, B, C, D, z, bias, starts, grad_y, begins, arrives, du, ddt, dz, dA, dB, dC, dD, dbias,
    s_vd, s_ub, s_ut, s_ud, s_dtb, s_dtt, s_dtd, s_Ad, s_An, s_Bb, s_Bt, s_Cb, s_Ct, s_zb, s_zt, s_zd, s_gb, s_gt, s_gd,
    s_sb, s_sc, s_sn, s_sd, s_od, length, channels, d_state, chunks, chunks_each, parts, blocks, rows,
    HAS_D: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_STARTS: tl.constexpr,
    CHUNK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Pass 3, for `chunks_each` chunks after one another.

    begins: states before the chunks, `[b chunks n d]`. arrives: the gradients of the states after them. du, ddt, dz:
    `[b s d]` dense. dA: `[b parts n d]`; dD and dbias: `[b parts d]`; dB and dC: `[blocks b n s]`.
    """
    b, part, block = place(blocks, parts)
    d = (block * BLOCK_D + tl.arange(0, BLOCK_D)).to(tl.int64)
    is_channel = d < channels
    shift = tl.zeros((BLOCK_D,), tl.float32)
    skip = tl.zeros((BLOCK_D,), tl.float32)
    if HAS_BIAS:
        shift = tl.load(bias + d * s_vd, is_channel, 0.0).to(tl.float32)
    if HAS_D:
        skip = tl.load(D + d * s_vd, is_channel, 0.0).to(tl.float32)
    sum_D = tl.zeros((BLOCK_D,), tl.float32)
    sum_bias = tl.zeros((BLOCK_D,), tl.float32)
    i = tl.arange(0, CHUNK)
    for k in range(chunks_each):
        c = part * chunks_each + k
        t = c * CHUNK + i
        is_token = t < length
        here = is_token[:, None] & is_channel[None, :]
        at_u = b * s_ub + t[:, None] * s_ut + d[None, :] * s_ud
        at_z = b * s_zb + t[:, None] * s_zt + d[None, :] * s_zd
        at_g = b * s_gb + t[:, None] * s_gt + d[None, :] * s_gd
        raw = tl.load(dt + b * s_dtb + t[:, None] * s_dtt + d[None, :] * s_dtd, here, float("-inf")).to(tl.float32)
        raw += shift[None, :]
        x = softplus(raw)
        xu = x * tl.load(u + at_u, here, 0.0).to(tl.float32)
        g = tl.load(grad_y + at_g, here, 0.0).to(tl.float32)
        if HAS_Z:
            g *= silu(tl.load(z + at_z, here, 0.0).to(tl.float32))
        sum_B = tl.zeros((CHUNK, BLOCK_D), tl.float32)
        sum_A = tl.zeros((CHUNK, BLOCK_D), tl.float32)
        out = tl.zeros((CHUNK, BLOCK_D), tl.float32)
        for n in range(d_state):
            a = finite_rate(tl.load(A + d * s_Ad + n * s_An, is_channel, 0.0).to(tl.float32))
            at_state = b * s_sb + c * s_sc + n * s_sn + d * s_sd
            exists = is_channel & (c < chunks)
            h = tl.load(begins + at_state, exists, 0.0)
            q = tl.load(arrives + at_state, exists, 0.0)
            Bn = tl.load(B + b * s_Bb + t * s_Bt + n, is_token, 0.0).to(tl.float32)
            Cn = tl.load(C + b * s_Cb + t * s_Ct + n, is_token, 0.0).to(tl.float32)
            decay = tl.exp2((x * LOG2E) * a[None, :])
            added = xu * Bn[:, None]
            grad_out = g * Cn[:, None]
            before = added
            after = added
            for j in tl.static_range(CHUNK):
                if HAS_STARTS:
                    fresh = tl.load(starts + b * length + c * CHUNK + j, c * CHUNK + j < length, 0) != 0
                    h = tl.where(fresh, 0.0, h)
                before = tl.where(i[:, None] == j, h[None, :], before)
                h = row(decay, i, j) * h + row(added, i, j)
                after = tl.where(i[:, None] == j, h[None, :], after)
            grad_state = grad_out
            for j in tl.static_range(CHUNK - 1, -1, -1):
                q += row(grad_out, i, j)
                grad_state = tl.where(i[:, None] == j, q[None, :], grad_state)
                q *= row(decay, i, j)
                if HAS_STARTS:
                    fresh = tl.load(starts + b * length + c * CHUNK + j, c * CHUNK + j < length, 0) != 0
                    q = tl.where(fresh, 0.0, q)
            grad_rate = grad_state * decay * before * x
            sum_A += grad_rate * a[None, :]  # of the time step's logarithm: A alone may be too large for a sum
            sum_B += grad_state * Bn[:, None]
            if HAS_Z:
                out += after * Cn[:, None]
            at_n = ((block * rows + b) * d_state + n) * length + t
            tl.store(dB + at_n, tl.sum(grad_state * xu, 1), is_token)
            tl.store(dC + at_n, tl.sum(g * after, 1), is_token)
            at_A = dA + ((b * parts + part) * d_state + n) * channels + d * s_od
            so_far = tl.load(at_A, is_channel & (k > 0), 0.0)
            tl.store(at_A, so_far + tl.sum(grad_rate, 0), is_channel)
        ut = tl.load(u + at_u, here, 0.0).to(tl.float32)
        slope = sigmoid(raw)
        # Where x is 0, sum_A is 0 too: the 1 only keeps 0 / 0 out.
        grad_dt = sum_B * ut * slope + sum_A * (slope / tl.where(x == 0.0, 1.0, x))
        grad_u = sum_B * x
        if HAS_D:
            grad_u += g * skip[None, :]
            sum_D += tl.sum(g * ut, 0)
        if HAS_BIAS:
            sum_bias += tl.sum(grad_dt, 0)
        at_out = (b * length + t[:, None]) * channels + d[None, :] * s_od
        tl.store(du + at_out, grad_u.to(du.dtype.element_ty), here)
        tl.store(ddt + at_out, grad_dt.to(ddt.dtype.element_ty), here)
        if HAS_Z:
            if HAS_D:
                out += skip[None, :] * ut
            grad_z = tl.load(grad_y + at_g, here, 0.0).to(tl.float32) * out
            grad_z *= silu_slope(tl.load(z + at_z, here, 0.0).to(tl.float32))
            tl.store(dz + at_out, grad_z.to(dz.dtype.element_ty), here)
        tl.debug_barrier()  # the next chunk adds to what this one wrote to dA
    at_part = (b * parts + part) * channels + d * s_od
    if HAS_D:
        tl.store(dD + at_part, sum_D, is_channel)
    if HAS_BIAS:
        tl.store(dbias + at_part, sum_bias, is_channel)
