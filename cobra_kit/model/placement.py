"""The device and the floating-point type of each part's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import Recipe


def part_dtypes(
    recipe: Recipe, device: torch.device, dtype: torch.dtype | None, encoder_dtype: torch.dtype | None = None
) -> dict[Kind, torch.dtype | None]:
    """Returns the floating-point type of each part; None leaves a part's types as they are.

    Where nobody chose, a frozen vision encoder on a GPU takes bfloat16, as in the authors' code (PAPER.md 1.1). One
    that a stage trains keeps its type, and so does any on a CPU, where bfloat16 is slower.

    Args:
        recipe: What is composed; its stages say whether the encoder is trained.
        device: The device that the parts run on.
        dtype: The type that was asked for, or None.
        encoder_dtype: The type that was asked for the vision encoder, or None.
    """
    trained = recipe.train is not None and recipe.train.full_finetune is not None
    usual = torch.bfloat16 if device.type == "cuda" and not trained else None
    encoder = encoder_dtype or dtype or usual
    return {"vision_encoder": encoder, "projector": dtype, "fusion": dtype, "backbone": dtype}


def peak_bytes(modules: Sequence[nn.Module], device: torch.device, dtypes: Sequence[torch.dtype | None]) -> int:
    """Returns the CPU memory that it takes to fill modules one after another, each placed before the next.

    A module is filled on the CPU in its own type (float32), then converted and moved; checkpoints that are read
    meanwhile come on top.
    """
    settled = peak = 0
    for module, dtype in zip(modules, dtypes, strict=True):
        peak = max(peak, settled + module_bytes(module))
        if device.type == "cpu":
            settled += module_bytes(module, dtype)
    return peak


def place(module: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    """Moves a part to `device`, and to `dtype` except for what it lists as `never_quantise`.

    Args:
        module: A part of a model.
        device: The device that its tensors are moved to.
        dtype: Floating-point type; None leaves the types as they are.
    """
    if dtype is not None:
        keep = tuple(f".{name}" for name in getattr(module, "never_quantise", ()))
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.is_floating_point() and not f".{name}".endswith(keep):
                tensor.data = tensor.data.to(dtype)
    module.to(device)


def module_bytes(module: nn.Module, dtype: torch.dtype | None = None) -> int:
    """Returns the bytes of a module's parameters and buffers, of floating-point ones as if they had type `dtype`."""
    total = 0
    for tensor in (*module.parameters(), *module.buffers()):
        converted = dtype is not None and tensor.is_floating_point()
        total += tensor.numel() * (dtype.itemsize if converted and dtype else tensor.element_size())
    return total
