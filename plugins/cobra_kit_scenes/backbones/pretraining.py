"""The pretraining of backbones on the world in words, as a task of `cobra-kit pretrain`."""

from __future__ import annotations

from typing import Any

from cobra_kit.interfaces import BackbonePretraining, TextProbes
from cobra_kit_scenes.backbones.probe import probe_texts
from cobra_kit_scenes.backbones.texts import TextSource


class ScenesBackbonePretraining(BackbonePretraining):
    """Passages and conversations about scenes of `towers`, and questions about those of `val`."""

    def source(self) -> TextSource:
        """Returns the texts."""
        return TextSource(self.recipe.data)

    def probe(self, model: Any) -> TextProbes:
        """Returns how well questions about new scenes are answered, and the perplexity of new passages."""
        data = self.recipe.data
        return probe_texts(model, data.scenes(data.probe))

    def description(self) -> str:
        """Returns a sentence on the data."""
        seed = self.recipe.data.seed
        return f"Described scenes of the embedded world's `towers` split, seed {seed}; no picture is drawn."
