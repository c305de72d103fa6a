"""Mamba-2's state space layer as its definition reads, one token after the other: slow, the oracle of the chunked form.

The recurrence of arXiv 2405.21060 (equation 1 with a scalar A per head, and its section 7.1 for heads and groups):

    dt'_t = softplus(dt_t + dt_bias)
    h_t   = exp(dt'_t A) h_{t-1} + dt'_t x_t B_t^T
    y_t   = h_t C_t + D x_t
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sequential_ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    dt_bias: Tensor,
    initial_state: Tensor | None = None,
    starts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b s h p]` and the last state `[b h p n]`, in the dtype of the inputs.

    Args:
        x: Inputs of every head, `[b s h p]`.
        dt: Time steps before their bias and softplus, `[b s h]`; minus infinity leaves the state as it is.
        A: Negative decay rates, `[h]`.
        B: What writes the state, `[b s g n]`; a group serves `h / g` neighbouring heads.
        C: What reads the state, `[b s g n]`.
        D: The skip's factor, `[h]`.
        dt_bias: Bias of the time step, `[h]`.
        initial_state: `[b h p n]`; None: zeros.
        starts: `[b s]`, true where a token begins a segment and sees nothing before it; None: nowhere.
    """
    rows, _, heads, width = x.shape
    per_group = heads // B.shape[2]
    dt = F.softplus(dt + dt_bias)
    B, C = B.repeat_interleave(per_group, dim=2), C.repeat_interleave(per_group, dim=2)
    state = x.new_zeros(rows, heads, width, B.shape[3]) if initial_state is None else initial_state
    outputs = []
    decays = torch.exp(dt * A)
    if starts is not None:
        decays = decays.masked_fill(starts.unsqueeze(-1), 0.0)
    tokens = (tensor.unbind(1) for tensor in (x, dt, decays, B, C))
    for x_t, dt_t, decay_t, B_t, C_t in zip(*tokens, strict=True):
        decay = decay_t[..., None, None]
        state = decay * state + (dt_t.unsqueeze(-1) * x_t).unsqueeze(-1) * B_t.unsqueeze(2)
        outputs.append((state @ C_t.unsqueeze(-1)).squeeze(-1))
    y = torch.stack(outputs, dim=1) if outputs else torch.zeros_like(x)
    return y + D.unsqueeze(-1) * x, state
