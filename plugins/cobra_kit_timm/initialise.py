"""Random values for a timm vision Transformer, drawn from one generator."""

from __future__ import annotations

import math

import torch
from torch import nn

from cobra_kit.errors import PluginError


@torch.no_grad()
def initialise(vit: nn.Module, generator: torch.Generator | None, *, layer_scale: float | None) -> None:
    """Fills every parameter of `vit` after timm's default scheme for ViTs.

    The scheme is that of `VisionTransformer.init_weights` (timm 1.0.31, mode ""): linear weights and position
    embeddings truncated normal with standard deviation 0.02, linear biases 0, class and register tokens normal with
    1e-6, pooling latent truncated normal with width ** -0.5, convolution and norms as torch fills them. timm itself
    draws from the global generator, which is why the scheme is written out here.

    Args:
        vit: A timm `VisionTransformer` with values on the CPU.
        generator: Source of randomness; None for torch's own.
        layer_scale: Value of the layer scales, or None where the architecture has none.

    Raises:
        PluginError: timm has a parameter or buffer that this scheme does not know.
    """
    unknown = [name for name, _ in vit.named_buffers()]
    for path, module in vit.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not _fill(module, name, parameter, generator, layer_scale):
                unknown.append(f"{path}.{name}" if path else name)
    if unknown:
        import timm

        raise PluginError(
            f"timm {timm.__version__} builds tensors that cobra_kit_timm cannot initialise: {', '.join(unknown)}",
            hint="Install a timm that it knows, such as timm==1.0.31.",
        )


def _fill(
    module: nn.Module,
    name: str,
    parameter: nn.Parameter,
    generator: torch.Generator | None,
    layer_scale: float | None,
) -> bool:
    """Fills one parameter of `module`; returns False where the scheme does not know it."""
    if isinstance(module, nn.LayerNorm):
        parameter.fill_(1.0 if name == "weight" else 0.0)
    elif isinstance(module, nn.Linear):
        if name == "weight":
            nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
        else:
            parameter.zero_()
    elif isinstance(module, nn.Conv2d):
        bound = 1 / math.sqrt(module.weight[0].numel())  # torch's default: kaiming_uniform with a = sqrt(5)
        parameter.uniform_(-bound, bound, generator=generator)
    elif name == "gamma" and layer_scale is not None:
        parameter.fill_(layer_scale)
    elif name == "pos_embed":
        nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
    elif name in {"cls_token", "reg_token"}:
        parameter.normal_(std=1e-6, generator=generator)
    elif name == "latent":
        nn.init.trunc_normal_(parameter, generator=generator).mul_(parameter.shape[-1] ** -0.5)
    else:
        return False
    return True
