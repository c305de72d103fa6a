"""The selective scan as its definition reads, one token after the other: slow, any dtype, the oracle of every other.

Equations 2a, 2b and 4 of the Mamba paper (arXiv 2312.00752) with its simplified discretisation of B (section 3.3):

    dt'_t = softplus(dt_t + dt_bias)
    h_t   = exp(dt'_t A) h_{t-1} + dt'_t u_t B_t
    y_t   = (C_t . h_t + D u_t) silu(z_t)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sequential_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
    starts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b s d]` and the last state `[b d n]`, in the dtype of the inputs.

    Shapes as in `scan.selective_scan`; where `starts` is set, h_{t-1} is zero. Autograd gives its gradients.
    """
    dt = F.softplus(dt if dt_bias is None else dt + dt_bias)
    rows, _, channels = u.shape
    state = u.new_zeros(rows, channels, A.shape[1]) if initial_state is None else initial_state
    outputs = []
    # unbind, not indexing: the backward of an index fills a whole tensor with zeros for every token.
    fresh = [None] * u.shape[1] if starts is None else starts.bool().view(rows, -1, 1, 1).unbind(1)
    for u_t, dt_t, B_t, C_t, fresh_t in zip(u.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1), fresh, strict=True):
        if fresh_t is not None:
            state = state.masked_fill(fresh_t, 0.0)
        decay = torch.exp(dt_t.unsqueeze(-1) * A)
        state = decay * state + (dt_t * u_t).unsqueeze(-1) * B_t.unsqueeze(1)
        outputs.append((state @ C_t.unsqueeze(-1)).squeeze(-1))
    y = torch.stack(outputs, dim=1) if outputs else torch.zeros_like(u)
    if D is not None:
        y = y + D * u
    if z is not None:
        y = y * F.silu(z)
    return y, state
