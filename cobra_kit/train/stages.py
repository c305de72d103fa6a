"""The stages of training: what each one trains, and on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cobra_kit.data.cuts import check_long_rows
from cobra_kit.data.rows import DataSource, TrainingRow
from cobra_kit.model import Processor, VisionLanguageModel
from cobra_kit.recipe.sections import StageSection


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training.

    Args:
        name: The key that recipes have for it.
        trains: The parts that learn; the others are frozen and in eval mode.
        captions: Whether it learns bare text (first answers) instead of conversations.
        text: Whether its rows have no images.
    """

    name: str
    trains: frozenset[str]
    captions: bool = False
    text: bool = False

    @property
    def frozen_encoder(self) -> bool:
        """Returns whether the encoder stays as it is, so that its features can be computed once."""
        return "vision_encoder" not in self.trains

    @property
    def involves(self) -> frozenset[str]:
        """Returns the parts that the outcome depends on; without images, neither encoder nor projector."""
        return _READING if self.text else _READING | _SEEING


# The kinds in groups: what turns images into tokens, what reads tokens, and what learns to answer.
_SEEING, _READING = frozenset({"vision_encoder", "projector"}), frozenset({"fusion", "backbone"})
_LANGUAGE = frozenset({"projector", "fusion", "backbone"})
_BACKBONE = frozenset({"backbone"})

STAGES = {
    stage.name: stage
    for stage in (
        Stage("pretrain_text", _BACKBONE, captions=True, text=True),
        Stage("instruct_text", _BACKBONE, text=True),
        Stage("align", frozenset({"projector"}), captions=True),
        Stage("finetune", _LANGUAGE),
        Stage("full_finetune", _LANGUAGE | {"vision_encoder"}),
    )
}
"""The stages by name, in the order they run."""


def stage_rows(stage: Stage, source: DataSource) -> Sequence[TrainingRow]:
    """Returns what a stage learns from."""
    if stage.text:
        return source.text_rows("passages" if stage.captions else "conversations")
    return source.caption_rows if stage.captions else source.rows


def check_cut_shares(source: DataSource, processor: Processor, stages: Mapping[str, StageSection], most: float) -> None:
    """Raises a `DataError` if some stage would lose more of its supervised tokens than it may; trains nothing.

    Args:
        source: The source of the rows.
        processor: Processor of the model to be trained.
        stages: The settings of each stage, by its name.
        most: The share that a stage may lose which says nothing about it itself.
    """
    for name, settings in stages.items():
        share = most if settings.max_cut_share is None else settings.max_cut_share
        # Counting tokenises every row, so it is left out where nothing could be refused.
        if share < 1:
            stage = STAGES[name]
            rows = stage_rows(stage, source)
            check_long_rows(rows, processor.codec, share, name, captions=stage.captions)


def trained_until(stages: Iterable[str], last: str) -> frozenset[str]:
    """Returns the parts that have been trained when `last` of these stages ends."""
    order = list(STAGES)
    return frozenset().union(*(STAGES[name].trains for name in stages if order.index(name) <= order.index(last)))


def set_stage(model: VisionLanguageModel, stage: Stage) -> None:
    """Makes the stage's parts learn: gradients and train mode for them, neither for the others."""
    model.train_only(stage.trains)
    # Modes too, and not only gradients: a frozen part in train mode would go on dropping out at random.
    for kind, module in model.parts().items():
        module.train(kind in stage.trains)
