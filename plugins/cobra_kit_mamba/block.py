"""A residual block around the mixer, and the norm it uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.mixer import MambaMixer
from cobra_kit_mamba.selection import compute_dtype


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension, computed in float32, in the dtype of the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Norms `[.. d]`."""
        dtype = compute_dtype(x.dtype, self.weight.dtype)
        normed = F.rms_norm(x.to(dtype), self.weight.shape, self.weight.to(dtype), self.eps)
        return normed.to(self.weight.dtype)


class MambaBlock(nn.Module):
    """residual + mixer(norm(residual))."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.mixer = MambaMixer(config)
        self.norm = RMSNorm(config.d_model, config.norm_eps)

    def forward(
        self,
        residual: Tensor,
        conv_state: Tensor | None = None,
        ssm_state: Tensor | None = None,
        segment_ids: Tensor | None = None,
    ) -> Tensor:
        """Returns the residual stream `[b s d]` after this block; see `MambaMixer.forward`."""
        mixed: Tensor = self.mixer(self.norm(residual), conv_state, ssm_state, segment_ids)
        return residual + mixed.to(residual.dtype)

    def step(self, residual: Tensor, conv_state: Tensor, ssm_state: Tensor) -> Tensor:
        """Returns the residual stream `[b d]` of one token after this block."""
        mixed: Tensor = self.mixer.step(self.norm(residual), conv_state, ssm_state)
        return residual + mixed.to(residual.dtype)
