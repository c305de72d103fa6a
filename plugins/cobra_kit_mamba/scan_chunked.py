"""The selective scan in plain PyTorch, in chunks, with a backward of its own: any device, float32 or float64.

Forward keeps the state at the start of each chunk only; backward computes a chunk's states again. A step of the
recurrence is one `addcmul_` on a contiguous slice of `[t b n d]`, in memory that the chunks share. It multiplies by
decays, which are at most 1, and never divides by their product, which overflows float32 within tens of tokens
(SCAN.md, numerical traps).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from cobra_kit.interfaces import full_precision

CHUNK = 16
"""Tokens of a chunk. At (8, 256, 512) 8 takes as long, 32 a fifth longer: a chunk's states leave the cache. The kept
states take d_state / CHUNK times the memory of u."""


def chunked_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    starts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b s d]` and the last state `[b d n]`; shapes as in `scan.selective_scan`, one dtype."""
    dt = dt if dt_bias is None else dt + dt_bias
    if initial_state is None:
        initial_state = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    # Asked here, because inside of `forward` gradients are always off.
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (u, dt, A, B, C, initial_state))
    y, state = _ChunkedScan.apply(keep, u, dt, A, B, C, initial_state, Starts(starts))
    if D is not None:
        y = y + D * u
    if z is not None:
        y = y * F.silu(z)
    return y, state


class Starts:
    """The places where segments begin: their first tokens see no state.

    Args:
        starts: `[b s]`, or None: nowhere.
    """

    def __init__(self, starts: Tensor | None) -> None:
        # One wait for the device, so that only tokens at which a row begins pay for it.
        self._columns = [] if starts is None else starts.bool().any(0).tolist()
        self._fresh = None if starts is None else starts.bool().unsqueeze(-1).unsqueeze(-1)

    def cut(self, token: int, state: Tensor) -> Tensor:
        """Returns the state `[b n d]` before a token, or a gradient of it, zero in the rows that begin there."""
        if self._fresh is None or not self._columns[token]:
            return state
        return state.masked_fill(self._fresh[:, token], 0.0)


class _ChunkedScan(torch.autograd.Function):
    """h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t and y_t = C_t . h_t, over chunks of the sequence.

    dt is given before its softplus, whose slope keeps the gradient of a tiny step in range where A is huge.
    """

    @staticmethod
    def forward(
        ctx: Any,
        keep: bool,
        u: Tensor,
        raw: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        initial_state: Tensor,
        starts: Starts,
    ) -> tuple[Tensor, Tensor]:
        length, dt = u.shape[1], F.softplus(raw)
        At, state = A.t().contiguous(), initial_state.transpose(1, 2).contiguous()
        kept = state.new_empty(-(-length // CHUNK) if keep else 0, *state.shape)
        y, dtu, buffers = torch.empty_like(u), dt * u, _buffers(2, state)
        for c, start in enumerate(range(0, length, CHUNK)):
            part = slice(start, start + CHUNK)
            if keep:
                kept[c] = state
            dt_c, dtu_c, B_c, C_c = _token_first(part, dt, dtu, B, C)
            _, states = _states(dt_c, dtu_c, At, B_c, state, buffers, starts, start)
            y[:, part] = (C_c.unsqueeze(2) @ states).squeeze(2).transpose(0, 1)
            state = states[-1].clone()  # the next chunk takes its place
        ctx.save_for_backward(u, raw, At, B, C, kept)
        ctx.starts = starts
        return y, state.transpose(1, 2).clone(memory_format=torch.contiguous_format)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        # Half-precision matrix products would lose what the forward took care to keep.
        with full_precision(grads[0].device):
            return None, *_backward(ctx.starts, *ctx.saved_tensors, *grads), None


def _token_first(part: slice, *tensors: Tensor) -> list[Tensor]:
    """Returns a chunk of each tensor, `[b s ..]` as `[t b ..]`.

    Copied, because what is computed from a view takes the view's order of memory, and the states, of which a token's
    slice must be contiguous, are 16 times larger.
    """
    return [tensor[:, part].transpose(0, 1).contiguous() for tensor in tensors]


def _buffers(count: int, state: Tensor) -> Tensor:
    """Returns room for `count` tensors `[t b n d]`. Fresh memory for each chunk would cost more than the arithmetic."""
    return state.new_empty(count, CHUNK, *state.shape)


def _states(
    dt: Tensor, dtu: Tensor, At: Tensor, B: Tensor, before: Tensor, buffers: Tensor, starts: Starts, first: int
) -> tuple[Tensor, Tensor]:
    """Returns the decays and the states of a chunk, `[t b n d]`: channels last, so that every loop is a long one.

    `first` is the number of the chunk's first token in the row.
    """
    decays = torch.mul(dt.unsqueeze(2), At, out=buffers[0, : len(dt)]).exp_()
    states = torch.mul(dtu.unsqueeze(2), B.unsqueeze(3), out=buffers[1, : len(dt)])
    decay, state = decays.unbind(0), states.unbind(0)
    for t in range(len(state)):
        state[t].addcmul_(decay[t], starts.cut(first + t, state[t - 1] if t else before))
    return decays, states


def _backward(
    starts: Starts,
    u: Tensor,
    raw: Tensor,
    At: Tensor,
    B: Tensor,
    C: Tensor,
    kept: Tensor,
    grad_y: Tensor,
    grad_state: Tensor,
) -> tuple[Tensor, ...]:
    """Returns the gradients of u, dt before its softplus, A, B, C and the initial state."""
    dt, slope = F.softplus(raw), torch.sigmoid(raw)
    dtu = dt * u
    grad_u, grad_raw, grad_At = torch.empty_like(u), torch.empty_like(raw), torch.zeros_like(At)
    grad_B, grad_C = torch.empty_like(B), torch.empty_like(C)
    carry = grad_state.transpose(1, 2).contiguous()
    buffers = _buffers(3, carry)
    for c in reversed(range(len(kept))):
        part = slice(c * CHUNK, (c + 1) * CHUNK)
        dt_c, dtu_c, B_c, C_c, grad_c = _token_first(part, dt, dtu, B, C, grad_y)
        first = c * CHUNK
        decays, states = _states(dt_c, dtu_c, At, B_c, kept[c], buffers, starts, first)
        grad_C[:, part] = (states @ grad_c.unsqueeze(3)).squeeze(3).transpose(0, 1)

        grads = torch.mul(grad_c.unsqueeze(2), C_c.unsqueeze(3), out=buffers[2, : len(dt_c)])  # of the states
        grad, decay = grads.unbind(0), decays.unbind(0)
        grad[-1].add_(carry)
        for t in range(len(grad) - 2, -1, -1):
            grad[t].add_(starts.cut(first + t + 1, decay[t + 1] * grad[t + 1]))
        carry = starts.cut(first, decay[0] * grad[0])

        grad_B[:, part] = (grads @ dtu_c.unsqueeze(3)).squeeze(3).transpose(0, 1)
        grad_dtu = (B_c.unsqueeze(2) @ grads).squeeze(2).transpose(0, 1)
        grads.mul_(decays)  # from here on: of the exponents dt A
        grads[0].mul_(starts.cut(first, kept[c]))
        for t in range(1, len(grad)):
            grad[t].mul_(starts.cut(first + t, states[t - 1]))
        grads.mul_(dt_c.unsqueeze(2))
        grad_At.add_(grads.sum((0, 1)))
        # Of the time step's logarithm: A alone may be too large for a sum.
        of_logarithm = grads.mul_(At).sum(2).transpose(0, 1)
        per_step = slope[:, part] / torch.where(dt[:, part] == 0, 1.0, dt[:, part])
        grad_raw[:, part] = grad_dtu * u[:, part] * slope[:, part] + of_logarithm * per_step
        grad_u[:, part] = grad_dtu * dt[:, part]
    return grad_u, grad_raw, grad_At.t(), grad_B, grad_C, carry.transpose(1, 2)
