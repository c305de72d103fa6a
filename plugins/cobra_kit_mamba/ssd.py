"""Mamba-2's state space layer as the model calls it: plain PyTorch over chunks, any device, any floating dtype.

On a GPU mamba_ssm's kernels take its place where they are installed.

The block decomposition of arXiv 2405.21060, section 6: inside a chunk the layer is a masked matrix product like
attention, between chunks it is a recurrence over states. The equations stand in `ssd_reference.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit.interfaces import full_precision
from cobra_kit_mamba.decay import finite_rates
from cobra_kit_mamba.peers import Asked, peer_dual
from cobra_kit_mamba.selection import choose_dual, compute_dtype

CHUNK = 64
"""Tokens per chunk: work inside a chunk grows with it, the number of steps between chunks falls."""


def state_space_dual(
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
    """Returns the outputs `[b s h p]` in the dtype of x, and the last state `[b h p n]`.

    Arguments as in `ssd_reference.sequential_ssd`. Time steps, decays and the state are float32 (float64 if any input
    is), whatever the other dtypes are and under autocast too.
    """
    given = (x, dt, A, B, C, D, dt_bias)
    dtype = compute_dtype(*(tensor.dtype for tensor in given))
    asked = Asked((x.dtype,), segments=starts is not None, carried=initial_state is not None)
    if x.numel() > 0 and choose_dual(x.device, asked).kernel == "mamba_ssm":
        return peer_dual(x, dt, A, B, C, D, dt_bias, initial_state, starts)
    with full_precision(x.device):
        wide, dt, A, B, C, D, dt_bias = (tensor.to(dtype) for tensor in given)
        rows, length, heads, width = wide.shape
        shape = (rows, heads, width, B.shape[3])
        state = wide.new_zeros(shape) if initial_state is None else initial_state.to(dtype)
        dt = F.softplus(dt + dt_bias)
        decay, inputs = dt * finite_rates(A), dt.unsqueeze(-1) * wide
        if starts is not None:
            decay = decay.masked_fill(starts.unsqueeze(-1), -torch.inf)
        outputs = []
        for start in range(0, length, CHUNK):
            part = slice(start, start + CHUNK)
            y, state = _chunk(inputs[:, part], decay[:, part], B[:, part], C[:, part], state)
            outputs.append(y)
        y = torch.cat(outputs, dim=1) if outputs else torch.zeros_like(wide)
        y = y + D.unsqueeze(-1) * wide
    return y.to(x.dtype), state


def state_space_step(
    state: Tensor, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor
) -> Tensor:
    """Returns the outputs `[b h p]` of one token and advances the state `[b h p n]` in place.

    Args:
        state: `[b h p n]`, float32 or float64; the computation takes its dtype.
        x: `[b h p]`.
        dt: `[b h]`, before its bias and softplus.
        A: `[h]`; `D` and `dt_bias` likewise.
        B: `[b g n]`; `C` likewise.
        C: What reads the state, `[b g n]`.
        D: Factor of the skip, `[h]`.
        dt_bias: Bias of the time step, `[h]`.
    """
    wide, dt, A, B, C, D, dt_bias = (tensor.to(state.dtype) for tensor in (x, dt, A, B, C, D, dt_bias))
    per_group = x.shape[1] // B.shape[1]
    B, C = B.repeat_interleave(per_group, dim=1), C.repeat_interleave(per_group, dim=1)
    dt = F.softplus(dt + dt_bias).unsqueeze(-1)
    decay = torch.exp(dt * finite_rates(A).unsqueeze(-1))
    state.mul_(decay.unsqueeze(-1)).add_((dt * wide).unsqueeze(-1) * B.unsqueeze(2))
    y = (state @ C.unsqueeze(-1)).squeeze(-1) + D.unsqueeze(-1) * wide
    return y.to(x.dtype)


def _chunk(x: Tensor, decay: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b l h p]` of a chunk and the state after it.

    Args:
        x: Inputs times their time steps, `[b l h p]`.
        decay: Logarithms of the decays, `[b l h]`.
        B: `[b l g n]`.
        C: `[b l g n]`.
        state: The state before the chunk, `[b h p n]`.
    """
    rows, length, heads, width = x.shape
    groups, d_state = B.shape[2], B.shape[3]
    per_group = heads // groups
    x, decay = x.transpose(1, 2), decay.transpose(1, 2)  # [b h l p], [b h l]
    B, C = B.transpose(1, 2), C.transpose(1, 2)  # [b g l n]
    between = torch.exp(_sums_between(decay))  # [b h l l]: how much of token j is left at token i
    scores = (C @ B.transpose(2, 3)).unsqueeze(2)  # [b g 1 l l]
    mixing = (scores * between.view(rows, groups, per_group, length, length)).flatten(1, 2)

    since_start = torch.exp(decay.cumsum(-1)).unsqueeze(-1)  # [b h l 1]
    grouped = state.reshape(rows, groups, per_group * width, d_state)  # the heads of a group side by side
    carried = (C @ grouped.transpose(2, 3)).view(rows, groups, length, per_group, width)
    carried = carried.transpose(2, 3).flatten(1, 2)  # [b h l p]
    y = mixing @ x + since_start * carried

    left_at_end = between[:, :, -1].unsqueeze(-1) * x  # [b h l p]
    added = left_at_end.transpose(2, 3).reshape(rows, groups, per_group * width, length) @ B
    state = since_start[:, :, -1:] * state + added.view(rows, heads, width, d_state)
    return y.transpose(1, 2), state


def _sums_between(decay: Tensor) -> Tensor:
    """Returns the sum of `decay` `[.. l]` over tokens j+1..i at `[.. i j]`; minus infinity where j is after i.

    Summed for every pair anew: the difference of two running sums would lose what is small beside them.
    """
    length = decay.shape[-1]
    ones = torch.ones(length, length, dtype=torch.bool, device=decay.device)
    terms = decay.unsqueeze(-1).expand(*decay.shape, length).masked_fill(~ones.tril(-1), 0)
    return terms.cumsum(-2).masked_fill(~ones.tril(), -torch.inf)
