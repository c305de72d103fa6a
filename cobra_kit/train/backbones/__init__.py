"""Pretraining of small backbones, on the texts that the task of a plugin gives.

    plan = load_backbone_recipe("backbones/mamba_tiny_chat")
    result = pretrain_backbone(plan, report=print)
    save_backbone(Path("tiny_chat.safetensors"), result, plan)

`recipe` what a recipe says; `text_model` the backbone as a model without images; `pretraining` the run, by the training
core; `save` the file; `card` its figures. Texts and probes are a `cobra_kit.interfaces.BackbonePretraining`.
"""

from __future__ import annotations

from cobra_kit.interfaces import AbilityProbe, TextProbes
from cobra_kit.train.backbones.card import card_figures
from cobra_kit.train.backbones.pretraining import PretrainedBackbone, build_model, pretrain_backbone
from cobra_kit.train.backbones.recipe import BackbonePlan, BackboneRecipe, load_backbone_recipe
from cobra_kit.train.backbones.save import save_backbone

__all__ = [
    "AbilityProbe",
    "BackbonePlan",
    "BackboneRecipe",
    "PretrainedBackbone",
    "TextProbes",
    "build_model",
    "card_figures",
    "load_backbone_recipe",
    "pretrain_backbone",
    "save_backbone",
]
