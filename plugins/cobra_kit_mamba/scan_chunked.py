"""The selective scan in plain PyTorch, in chunks, with a backward of its own: any device, float32 or float64.

Forward keeps the state at the start of each chunk only; backward computes a chunk's states again. A step of the
recurrence is one `addcmul_` on a contiguous slice. It multiplies by decays, which are at most 1, and never divides by
their product, which overflows float32 within tens of tokens (SCAN.md, numerical traps).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 16
"""Tokens of a chunk. Longer ones leave the cache: 8 to 16 are fastest at (8, 256, 512), 64 is 1.6x slower."""


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
) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b s d]` and the last state `[b d n]`; shapes as in `scan.selective_scan`, one dtype."""
    dt = F.softplus(dt if dt_bias is None else dt + dt_bias)
    if initial_state is None:
        initial_state = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    # Asked here, because inside of `forward` gradients are always off.
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (u, dt, A, B, C, initial_state))
    y, state = _ChunkedScan.apply(keep, u, dt, A, B, C, initial_state)
    if D is not None:
        y = y + D * u
    if z is not None:
        y = y * F.silu(z)
    return y, state


def _states(dt: Tensor, dtu: Tensor, A: Tensor, B: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the decays and the states of a chunk, `[t b d n]`: token first, so that a token's slice is contiguous."""
    decays = torch.mul(dt.unsqueeze(-1), A).exp_()
    states = dtu.unsqueeze(-1) * B.unsqueeze(2)
    decay, state = decays.unbind(0), states.unbind(0)
    state[0].addcmul_(decay[0], before)
    for t in range(1, len(state)):
        state[t].addcmul_(decay[t], state[t - 1])
    return decays, states


class _ChunkedScan(torch.autograd.Function):
    """h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t and y_t = C_t . h_t, over chunks of the sequence."""

    @staticmethod
    def forward(
        ctx: Any, keep: bool, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
    ) -> tuple[Tensor, Tensor]:
        length = u.shape[1]
        kept = u.new_empty(-(-length // CHUNK) if keep else 0, *initial_state.shape)
        y, dtu, state = torch.empty_like(u), dt * u, initial_state
        for c, start in enumerate(range(0, length, CHUNK)):
            part = slice(start, start + CHUNK)
            if keep:
                kept[c] = state
            dt_c, dtu_c, B_c = _token_first(part, dt, dtu, B)
            _, states = _states(dt_c, dtu_c, A, B_c, state)
            y[:, part] = (states.transpose(0, 1) @ C[:, part].unsqueeze(-1)).squeeze(-1)
            state = states[-1]
        ctx.save_for_backward(u, dt, A, B, C, kept)
        return y, state.clone()  # neither the input itself nor a view that keeps a chunk alive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        # Half-precision matrix products would lose what the forward took care to keep.
        with torch.autocast(grads[0].device.type, enabled=False):
            return None, *_backward(*ctx.saved_tensors, *grads)


def _token_first(part: slice, *tensors: Tensor) -> list[Tensor]:
    return [tensor[:, part].transpose(0, 1) for tensor in tensors]


def _backward(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, kept: Tensor, grad_y: Tensor, grad_state: Tensor
) -> tuple[Tensor, ...]:
    """Returns the gradients of u, dt, A, B, C and the initial state."""
    dtu = dt * u
    grad_u, grad_dt, grad_A = torch.empty_like(u), torch.empty_like(dt), torch.zeros_like(A)
    grad_B, grad_C = torch.empty_like(B), torch.empty_like(C)
    carry = grad_state
    for c in reversed(range(len(kept))):
        part = slice(c * CHUNK, (c + 1) * CHUNK)
        dt_c, dtu_c, B_c, C_c, grad_c = _token_first(part, dt, dtu, B, C, grad_y)
        decays, states = _states(dt_c, dtu_c, A, B_c, kept[c])
        grad_C[:, part] = (grad_c.unsqueeze(2) @ states).squeeze(2).transpose(0, 1)

        grads = grad_c.unsqueeze(-1) * C_c.unsqueeze(2)  # of the states
        grad, decay = grads.unbind(0), decays.unbind(0)
        grad[-1].add_(carry)
        for t in range(len(grad) - 2, -1, -1):
            grad[t].addcmul_(decay[t + 1], grad[t + 1])
        carry = decay[0] * grad[0]

        grad_B[:, part] = (dtu_c.unsqueeze(2) @ grads).squeeze(2).transpose(0, 1)
        grad_dtu = (grads @ B_c.unsqueeze(-1)).squeeze(-1).transpose(0, 1)
        grads.mul_(decays)  # from here on: of the exponents dt A
        grads[0].mul_(kept[c])
        grads[1:].mul_(states[:-1])
        grad_A.add_((grads * dt_c.unsqueeze(-1)).sum((0, 1)))
        grad_dt[:, part] = grad_dtu * u[:, part] + (grads * A).sum(-1).transpose(0, 1)
        grad_u[:, part] = grad_dtu * dt[:, part]
    return grad_u, grad_dt, grad_A, grad_B, grad_C, carry
