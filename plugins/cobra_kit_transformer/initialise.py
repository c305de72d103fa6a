"""Random weights by transformers' own scheme, from one generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cobra_kit.errors import PluginError


@torch.no_grad()
def initialise(model: nn.Module, decoder: nn.Module, generator: torch.Generator | None) -> None:
    """Fills all parameters and buffers of `model`, on the CPU.

    transformers draws from torch's global generator; it is seeded from `generator` here and put back afterwards.

    Args:
        model: The decoder and its head.
        decoder: The decoder, transformers' `PreTrainedModel`, which knows the scheme.
        generator: Source of the seed; None: torch's global one.

    Raises:
        PluginError: The scheme leaves tensors out; they would hold whatever the memory held.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    for tensor in tensors.values():
        _mark(tensor)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.apply(decoder._init_weights)  # type: ignore[arg-type]  # a PreTrainedModel; children before parents
    # A tensor of whole numbers cannot be marked, and no scheme here fills one: it is left out as far as we can tell.
    left = sorted(name for name, tensor in tensors.items() if not tensor.is_floating_point() or _is_marked(tensor))
    if left:
        import transformers

        raise PluginError(
            f"transformers {transformers.__version__} leaves tensors of {type(decoder).__name__} without a value: "
            f"{', '.join(left[:5])}{f' and {len(left) - 5} more' if len(left) > 5 else ''}",
            hint="Load its weights into transformers itself, or take another architecture.",
        )


def _mark(tensor: Tensor) -> None:
    """Writes what no scheme writes into one element; every scheme fills a tensor whole."""
    if tensor.numel() and tensor.is_floating_point():
        tensor.view(-1)[0] = math.nan


def _is_marked(tensor: Tensor) -> bool:
    return bool(tensor.numel() and tensor.is_floating_point() and tensor.view(-1)[0].isnan())
