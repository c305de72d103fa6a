"""Recipes to models: composing, answering, saving and loading."""

from __future__ import annotations

from cobra_kit.model.batch import Batch, CachedFeatures, LossUnit, PreparedRow
from cobra_kit.model.building import processor_of
from cobra_kit.model.composition import compose
from cobra_kit.model.processor import Processor
from cobra_kit.model.vision_language_model import VisionLanguageModel

__all__ = [
    "Batch",
    "CachedFeatures",
    "LossUnit",
    "PreparedRow",
    "Processor",
    "VisionLanguageModel",
    "compose",
    "processor_of",
]
