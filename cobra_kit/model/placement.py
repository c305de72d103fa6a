"""Where a part's weights live, and in which floating-point type."""

from __future__ import annotations

import torch
from torch import nn


def place(module: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    """Moves a part to `device`, and to `dtype` except for what it lists as `never_quantise`.

    Args:
        module: A part of a model.
        device: Where its tensors go.
        dtype: Floating-point type; None leaves the types as they are.
    """
    if dtype is not None:
        keep = tuple(getattr(module, "never_quantise", ()))
        for owner in module.modules():
            for name, tensor in (*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)):
                if tensor.is_floating_point() and name not in keep:
                    tensor.data = tensor.data.to(dtype)
    module.to(device)
