"""The causal depthwise convolution with SiLU in plain PyTorch: any device and floating dtype."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def reference_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Returns silu(bias + sum_i weight[:, i] x[t - taps + 1 + i]), `[b s d]`.

    Args:
        x: `[b s d]`; before the first token there are zeros.
        weight: `[d taps]`; the last tap is the current token's.
        bias: `[d]` or None.
    """
    length, taps = x.shape[1], weight.shape[1]
    padded = F.pad(x, (0, 0, taps - 1, 0))
    # Shifted products instead of conv1d: channels stay last, and nothing is transposed.
    y = padded[:, :length] * weight[:, 0]
    for i in range(1, taps):
        y = y + padded[:, i : i + length] * weight[:, i]
    return F.silu(y if bias is None else y + bias)
