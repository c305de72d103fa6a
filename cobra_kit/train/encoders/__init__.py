"""Pretraining of small vision encoders on the embedded world.

    plan = load_pretrain_recipe("towers/siglip_tiny")
    result = pretrain(plan, report=print)
    save_encoder(Path("siglip_tiny.safetensors"), result, {})

`recipe` what a recipe says; `scene_instances`, `phrases` images as arrays and what they say; `contrastive` (with
`text_tower`) and `dense` the objectives; `task` what the training core is handed; `pixels`, `pretraining`, `resume`,
`save` the run; `probe` what the tokens tell afterwards.
"""

from __future__ import annotations

from cobra_kit.train.encoders.pretraining import Pretrained, build_encoder, pretrain
from cobra_kit.train.encoders.probe import Probe, probe_tokens
from cobra_kit.train.encoders.recipe import PretrainPlan, PretrainRecipe, load_pretrain_recipe
from cobra_kit.train.encoders.save import save_encoder

__all__ = [
    "PretrainPlan",
    "PretrainRecipe",
    "Pretrained",
    "Probe",
    "build_encoder",
    "load_pretrain_recipe",
    "pretrain",
    "probe_tokens",
    "save_encoder",
]
