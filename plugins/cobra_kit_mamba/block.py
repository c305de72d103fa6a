"""A residual block around the mixer, and the norm it uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit_mamba import norm_ops
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.mixer import MambaMixer
from cobra_kit_mamba.peers import Asked
from cobra_kit_mamba.selection import choose_norm, compute_dtype
from cobra_kit_mamba.shapes import check_shapes


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension, computed in float32, in the dtype of the weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, x: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns x + added, in the dtype of x, and its norm; all `[.. d]`.

        Raises:
            ShapeError: The shapes do not belong together.
        """
        shape = (*x.shape[:-1], self.weight.shape[0])
        check_shapes("the norm", "its weight", self.weight.device, {"x": (x, shape), "what is added": (added, shape)})
        dtype = compute_dtype(x.dtype, self.weight.dtype)
        choice = choose_norm(x.device, dtype, x.shape[-1], Asked((x.dtype, self.weight.dtype)))
        exact = x.dtype == self.weight.dtype == torch.float32
        if x.numel() > 0 and (choice.kernel == "triton" or (choice.kernel == "native" and exact)):
            if added is None:
                return x, norm_ops.norm(x, self.weight, self.eps)[0]
            added = added.to(x.dtype) if choice.kernel == "native" else added
            total, normed, _ = norm_ops.add_norm(x, added, self.weight, self.eps)
            return total, normed
        total = x if added is None else x + added.to(x.dtype)
        normed = F.rms_norm(total.to(dtype), self.weight.shape, self.weight.to(dtype), self.eps)
        return total, normed.to(self.weight.dtype)


class MambaBlock(nn.Module):
    """mixer(norm(residual)), to be added to the residual stream by the norm after it: one pass instead of two."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.mixer = MambaMixer(config)
        self.norm = RMSNorm(config.d_model, config.norm_eps)

    def forward(
        self,
        residual: Tensor,
        added: Tensor | None = None,
        conv_state: Tensor | None = None,
        ssm_state: Tensor | None = None,
        segment_ids: Tensor | None = None,
        starts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the residual stream `[b s d]` before this block and what the block adds to it.

        Args:
            residual: `[b s d]`, before the block that stands before this one.
            added: `[b s d]`, what that block adds, or None.
            conv_state: `[b d_inner d_conv]`, as `MambaMixer.forward` takes it.
            ssm_state: `[b d_inner d_state]`, as `MambaMixer.forward` takes it.
            segment_ids: `[b s]`, as `MambaMixer.forward` takes it.
            starts: `[b s]`, as `MambaMixer.forward` takes it.
        """
        residual, normed = self.norm(residual, added)
        return residual, self.mixer(normed, conv_state, ssm_state, segment_ids, starts)

    def step(
        self, residual: Tensor, added: Tensor | None, conv_state: Tensor, ssm_state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Does what `forward` does for one token per row, `[b d]`."""
        residual, normed = self.norm(residual, added)
        return residual, self.mixer.step(normed, conv_state, ssm_state)
