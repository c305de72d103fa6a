"""Seeds for parts, independent of each other: swapping one part leaves the others' weights as they were."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def derive_seed(seed: int, *parts: object) -> int:
    """Returns a 63-bit seed that depends on `seed` and `parts` only, the same on every machine and Python."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def part_generator(seed: int, kind: str, module: nn.Module) -> torch.Generator:
    """Returns the generator that initialises one part of a model.

    A projector's depends on (seed, shapes of its parameters) only, so arms that share a shape share the values
    whatever stands around it. The other kinds depend on (seed, kind).
    """
    if kind == "projector":
        shapes = [tuple(p.shape) for p in module.parameters()]
        return torch.Generator().manual_seed(derive_seed(seed, kind, *shapes))
    return torch.Generator().manual_seed(derive_seed(seed, kind))
