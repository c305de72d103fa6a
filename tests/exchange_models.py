"""Small models whose weights are no seed's, and the names that others' files give their tensors, written out."""

from __future__ import annotations

from pathlib import Path

import torch

from cobra_kit.model import VisionLanguageModel, compose

RECIPE = """
title: Exchange
seed: 5
model:
  vision_encoder: {use: siglip/tiny, weights: none, width: 24, depth: 2, heads: 2}
  projector: {use: PROJECTOR}
  fusion: {use: fusion/image-first}
  backbone: {use: mamba/tiny, d_model: 32, n_layer: 2, d_state: 4}
"""

_BLOCK = (
    "norm.weight",
    "mixer.A_log",
    "mixer.D",
    "mixer.in_proj.weight",
    "mixer.conv1d.weight",
    "mixer.conv1d.bias",
    "mixer.x_proj.weight",
    "mixer.dt_proj.weight",
    "mixer.dt_proj.bias",
    "mixer.out_proj.weight",
)
AUTHORS_BACKBONE = {
    "llm.backbone.embedding.weight",
    "llm.backbone.norm_f.weight",
    "llm.lm_head.weight",
    *(f"llm.backbone.layers.{layer}.{name}" for layer in range(2) for name in _BLOCK),
}


def _weight_and_bias(*layers: str) -> set[str]:
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


AUTHORS_PROJECTOR = {
    "mlp/fused": _weight_and_bias("projector.0", "projector.2", "projector.4"),
    "ldpv2/fused": _weight_and_bias("projector.0", "projector.2", "projector.4.peg.0"),
}
MM_PROJECTOR = {
    "mlp/linear": {"weight", "bias"},
    "mlp/gelu": _weight_and_bias("0", "2"),
    "ldpv2/plain": _weight_and_bias("mlp.mlp.0", "mlp.mlp.2", "peg.peg.0"),
}


def write_recipe(folder: Path, projector: str = "mlp/fused") -> Path:
    """Writes the recipe with a projector and returns its path."""
    path = folder / f"{projector.replace('/', '_')}.yaml"
    path.write_text(RECIPE.replace("PROJECTOR", projector), encoding="utf-8")
    return path


def trained(recipe: Path) -> VisionLanguageModel:
    """Returns the recipe's model, projector and backbone moved away from what its seed gives."""
    model = compose(recipe)
    generator = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for part in (model.projector, model.backbone):
            for parameter in part.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model
