"""Root mean square norm with the residual addition before it, a row per program; see `c/norm.c`."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def norm_forward(
    x, added, weight, total, y, rstd, s_x, s_added, eps, width,
    HAS_ADDED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes total = x + added (not without `added`) and y = total / rms(total) * weight, both dense."""
    r = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK)
    here = d < width
    s = tl.load(x + r * s_x + d, here, 0.0)
    if HAS_ADDED:
        # Rounded before it is normed: the residual stream goes on with the rounded sum, as it does block by block.
        s = (s.to(tl.float32) + tl.load(added + r * s_added + d, here, 0.0).to(tl.float32)).to(s.dtype)
        tl.store(total + r * width + d, s, here)
    wide = s.to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(wide * wide, 0) / width + eps)
    tl.store(rstd + r, scale)
    w = tl.load(weight + d, here, 0.0).to(tl.float32)
    tl.store(y + r * width + d, (wide * scale * w).to(y.dtype.element_ty), here)


@triton.jit(do_not_specialize=["rows", "rows_each"])
def norm_backward(
    total, weight, rstd, grad_y, grad_total, dx, dweight, s_total, s_y, s_grad, rows, rows_each, width,
    HAS_TOTAL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes dx, of the total, dense, and dweight `[programs width]`, float32; a program takes `rows_each` rows."""
    p = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK)
    here = d < width
    w = tl.load(weight + d, here, 0.0).to(tl.float32)
    sum_weight = tl.zeros((BLOCK,), tl.float32)
    for k in range(rows_each):
        r = p * rows_each + k
        ok = here & (r < rows)
        s = tl.load(total + r * s_total + d, ok, 0.0).to(tl.float32)
        g = tl.load(grad_y + r * s_y + d, ok, 0.0).to(tl.float32)
        scale = tl.load(rstd + r, r < rows, 0.0)
        mean = tl.sum(g * w * s, 0) / width * scale * scale * scale
        out = g * w * scale - s * mean
        if HAS_TOTAL:
            out += tl.load(grad_total + r * s_grad + d, ok, 0.0).to(tl.float32)
        tl.store(dx + r * width + d, out.to(dx.dtype.element_ty), ok)
        sum_weight += g * s * scale  # a sum per program, added up outside: atomics would change with every run
    tl.store(dweight + p * width + d, sum_weight, here)
