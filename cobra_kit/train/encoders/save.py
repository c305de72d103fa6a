"""Writes a pretrained encoder as float16 safetensors."""

from __future__ import annotations

from pathlib import Path

import torch

from cobra_kit.errors import WeightsError
from cobra_kit.train.encoders.pretraining import Pretrained
from cobra_kit.weights import save_tensors


def save_encoder(path: Path, result: Pretrained, metadata: dict[str, str]) -> list[str]:
    """Writes what the encoder runs; returns the names of parameters that never run and are left out.

    A parameter that could learn and that no gradient ever reached takes no part in the encoder's tokens, such as the
    last block of a tower that is read at the one before. Names are those of the encoder's `state_dict`.

    Args:
        path: The file to write.
        result: The encoder, and which of its parameters learnt.
        metadata: Strings for the header.

    Raises:
        WeightsError: A value does not fit float16, or the file cannot be written.
    """
    idle = {n for n, p in result.encoder.named_parameters() if p.requires_grad and n not in result.trained}
    tensors = {}
    for name, value in result.encoder.state_dict().items():
        if name in idle:
            continue
        tensors[name] = value.to(torch.float16) if value.is_floating_point() else value
        if not torch.isfinite(tensors[name]).all():
            raise WeightsError(f"{name} does not fit float16", where=str(path))
    save_tensors(path, tensors, metadata)
    return sorted(idle)
