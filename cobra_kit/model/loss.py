"""Next-token loss over supervised tokens only, in chunks, so that full logits never exist."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_TOKENS = 2048
"""Supervised tokens whose logits exist at once: 2048 x 50,280 float32 logits are 0.4 GB."""


def summed_loss(
    hidden: Tensor,
    targets: Tensor,
    weights: Tensor,
    logits: Callable[[Tensor], Tensor],
    *,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Tensor:
    """Returns the weighted sum of the negative log-likelihoods, in float32.

    Args:
        hidden: Hidden states that predict, `[m d]`.
        targets: Ids to predict, `[m]`.
        weights: What each counts, `[m]` float32.
        logits: `[.. d] -> [.. vocab_size]`.
        chunk_tokens: Tokens per chunk; a chunk's logits are recomputed in the backward pass.
    """

    def chunk_loss(states: Tensor, ids: Tensor, weight: Tensor) -> Tensor:
        each = F.cross_entropy(logits(states).float(), ids, reduction="none")
        return (each * weight).sum()  # not a product of vectors, which autocast would round

    if targets.numel() <= chunk_tokens:
        return chunk_loss(hidden, targets, weights)
    total = hidden.new_zeros((), dtype=torch.float32)
    for chunk in zip(*(torch.split(part, chunk_tokens) for part in (hidden, targets, weights)), strict=True):
        if torch.is_grad_enabled():
            total = total + checkpoint(chunk_loss, *chunk, use_reentrant=False)
        else:
            total = total + chunk_loss(*chunk)
    return total
