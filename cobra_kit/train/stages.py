"""What each stage of training trains, and on what."""

from __future__ import annotations

from dataclasses import dataclass

from cobra_kit.model import VisionLanguageModel


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Args:
        name: Its key in recipes.
        trains: The parts that learn; the others are frozen and in eval mode.
        captions: Whether it learns bare captions (first answers) instead of conversations.
    """

    name: str
    trains: frozenset[str]
    captions: bool = False

    @property
    def frozen_encoder(self) -> bool:
        """Returns whether the encoder stays as it is, so that its features can be computed once."""
        return "vision_encoder" not in self.trains


_LANGUAGE = frozenset({"projector", "fusion", "backbone"})

STAGES = {
    stage.name: stage
    for stage in (
        Stage("align", frozenset({"projector"}), captions=True),
        Stage("finetune", _LANGUAGE),
        Stage("full_finetune", _LANGUAGE | {"vision_encoder"}),
    )
}
"""The stages by name, in the order they run; each trains at least what the one before it did."""


def set_stage(model: VisionLanguageModel, stage: Stage) -> None:
    """Makes the stage's parts learn: gradients and train mode for them, neither for the others."""
    model.train_only(stage.trains)
    for kind, module in model.parts().items():
        module.train(kind in stage.trains)
