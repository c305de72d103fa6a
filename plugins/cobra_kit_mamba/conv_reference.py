"""The causal depthwise convolution with SiLU in plain PyTorch: any device and floating dtype."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def reference_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None = None, starts: Tensor | None = None
) -> Tensor:
    """Returns silu(bias + sum_i weight[:, i] x[t - taps + 1 + i]), `[b s d]`.

    Args:
        x: `[b s d]`.
        weight: `[d taps]`; the last tap is the current token's.
        bias: `[d]` or None.
        before: The tokens before the first, `[b taps-1 d]`; None: zeros.
        starts: `[b s]`, true where a token begins a segment and sees none before it; None: nowhere.
    """
    length, taps = x.shape[1], weight.shape[1]
    padded = F.pad(x, (0, 0, taps - 1, 0)) if before is None else torch.cat([before, x], dim=1)
    if starts is not None:
        return _silu_of(padded, weight, bias, starts)
    # Shifted products instead of conv1d: channels stay last, and nothing is transposed.
    y = padded[:, :length] * weight[:, 0]
    for i in range(1, taps):
        y = y + padded[:, i : i + length] * weight[:, i]
    return F.silu(y if bias is None else y + bias)


def _silu_of(padded: Tensor, weight: Tensor, bias: Tensor | None, starts: Tensor) -> Tensor:
    length, taps = starts.shape[1], weight.shape[1]
    # The number of the segment that a token belongs to; what stands before the first token belongs to the first.
    segment = F.pad(starts.to(torch.int64).cumsum(1), (taps - 1, 0))
    own = segment[:, taps - 1 :]
    y = padded[:, taps - 1 :] * weight[:, -1]
    for i in range(taps - 1):
        other = (segment[:, i : i + length] != own).unsqueeze(-1)
        y = y + padded[:, i : i + length].masked_fill(other, 0.0) * weight[:, i]
    return F.silu(y if bias is None else y + bias)
