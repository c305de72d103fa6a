"""Pretraining of small backbones on the embedded world in words.

    plan = load_backbone_recipe("backbones/mamba_tiny_chat")
    result = pretrain_backbone(plan, report=print)
    save_backbone(Path("tiny_chat.safetensors"), result, plan)

`recipe` what a recipe says; `texts` what is read; `text_model` the backbone as a model without images;
`pretraining` the run, by the training core; `probe` what was learnt; `save` the file; `card` its figures.
"""

from __future__ import annotations

from cobra_kit.train.backbones.card import card_figures
from cobra_kit.train.backbones.pretraining import PretrainedBackbone, build_model, pretrain_backbone
from cobra_kit.train.backbones.probe import AbilityProbe, TextProbes, probe_texts
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
    "probe_texts",
    "save_backbone",
]
