"""Pretraining of small vision encoders, on what the task of a plugin gives.

    plan = load_pretrain_recipe("towers/siglip_tiny")
    result = pretrain(plan, report=print)
    save_encoder(Path("siglip_tiny.safetensors"), result, {})

`recipe` what a recipe says; `task` what the training core is handed; `pixels`, `pretraining`, `resume`, `save` the run.
Data, objective and probes are a `cobra_kit.interfaces.EncoderPretraining` of a plugin.
"""

from __future__ import annotations

from cobra_kit.interfaces import Probe
from cobra_kit.train.encoders.pretraining import Pretrained, build_encoder, pretrain
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
    "save_encoder",
]
