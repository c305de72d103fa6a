"""Tells lmms-eval what it is served: `--model cobra_kit`. Imports no torch, and lmms-eval when it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest


def manifest() -> ModelManifest:
    """Returns what the entry point `cobra_kit` of the group `lmms_eval.models` offers."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="cobra_kit", simple_class_path="cobra_kit_lmms_eval.served.ServedModel")
