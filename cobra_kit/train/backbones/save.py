"""Writes a pretrained backbone as float16 safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from cobra_kit.train.backbones.pretraining import PretrainedBackbone
from cobra_kit.train.backbones.recipe import BackbonePlan
from cobra_kit.weights import save_tensors
from cobra_kit.weights.packaged import VOCABULARY


def save_backbone(path: Path, result: PretrainedBackbone, plan: BackbonePlan) -> None:
    """Writes what the backbone has learnt, tied weights once.

    The header says which component and recipe it comes from, with which settings, and the digest of its vocabulary.

    Args:
        path: The file to write.
        result: The backbone that was pretrained.
        plan: The recipe that it was made by.

    Raises:
        WeightsError: The file cannot be written.
    """
    tensors, written = {}, set()
    for name, value in result.backbone.state_dict(keep_vars=True).items():
        # A head that is the embedding has another name for it, and whoever loads the file ties them again.
        if id(value) in written:
            continue
        written.add(id(value))
        tensors[name] = value.detach().to(torch.float16) if value.is_floating_point() else value.detach()
    settings = {key: value for key, value in plan.part.plain().items() if key not in ("use", "weights")}
    metadata = {
        "component": plan.component.qualified,
        "recipe": plan.name,
        "settings": json.dumps(settings, sort_keys=True),
        VOCABULARY: result.vocabulary,
    }
    save_tensors(path, tensors, metadata)
