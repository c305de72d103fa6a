"""The amount of training: rows, their length, optimiser steps; measured on the data, or assumed and said so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch

from cobra_kit.data.rows import DataSource, TrainingRow
from cobra_kit.data.sources import source_settings
from cobra_kit.errors import CobraError, TextError
from cobra_kit.estimate.calibration import TEXT_TOKENS
from cobra_kit.estimate.counting import RowShape
from cobra_kit.estimate.sample import Sample
from cobra_kit.interfaces import VisionEncoder
from cobra_kit.model import CachedFeatures, processor_of
from cobra_kit.recipe import Recipe, ResolvedRecipe
from cobra_kit.recipe.sections import StageSection

ROW_COUNTS = {"rows": 1_231_000, "captions": 558_000}
"""How many rows the paper's files have (PAPER.md 2.1), where the files are not here to be counted."""

_LOOKED_AT = 300
_CAPTION_TOKENS = 20
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Assumed:
    """Figures that the user knows better than the defaults; None where nothing was said.

    Args:
        rows: How many training rows there are.
        text_tokens: Text tokens per row.
    """

    rows: int | None = None
    text_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """The work that a stage has to do.

    Args:
        stage: Name of the stage.
        steps: How many optimiser steps it takes.
        batch_size: Rows per step.
        micro_batch: Rows per forward pass, as the recipe has it.
        rows: How many training rows it has.
        image_count: How many training images it has.
        row: The mean row.
        basis: Where rows and lengths come from, as a sentence.
    """

    stage: str
    steps: int
    batch_size: int
    micro_batch: int
    rows: int
    image_count: int
    row: RowShape
    basis: str

    def row_tokens(self, image_tokens: int) -> int:
        """Returns the length of the mean row, visual tokens included."""
        return self.row.text_tokens + self.row.images * image_tokens

    def tokens(self, image_tokens: int) -> int:
        """Returns how many tokens the stage reads."""
        return self.steps * self.batch_size * self.row_tokens(image_tokens)


def workload(
    resolved: ResolvedRecipe,
    stage: str,
    settings: StageSection,
    sample: Sample | None,
    *,
    captions: bool,
    text_only: bool = False,
    assumed: Assumed = Assumed(),
) -> Workload:
    """Returns what a stage has to do.

    Args:
        resolved: The arm that is trained.
        stage: The stage's name.
        settings: The stage's section of the recipe.
        sample: The data, or None where they are not here.
        captions: Whether the stage learns captions.
        text_only: Whether its rows have no images.
        assumed: What to take instead of what was found.
    """
    if sample is None:
        rows, image_count, row, basis = _assumed(resolved.recipe, captions, text_only)
    else:
        listed = _rows(sample.source, captions, text_only)
        row, basis = _measured(listed, resolved, captions, sample)
        rows = round(len(listed) * sample.times["train"])
        image_count = 0 if text_only else round(_image_count(sample.source) * sample.times["train"])
    if assumed.rows is not None:
        rows, image_count, basis = assumed.rows, min(image_count, assumed.rows), f"{basis}; --rows"
    if assumed.text_tokens is not None:
        supervised = max(1, round(assumed.text_tokens * row.supervised / max(1, row.text_tokens)))
        row, basis = RowShape(assumed.text_tokens, supervised, row.images), f"{basis}; --text-tokens"
    per_epoch = math.ceil(rows / settings.batch_size)
    steps = settings.steps or math.ceil((settings.epochs or 0) * per_epoch)
    return Workload(
        stage=stage,
        steps=steps,
        batch_size=settings.batch_size,
        micro_batch=settings.micro_batch_size or settings.batch_size,
        rows=rows,
        image_count=image_count,
        row=row,
        basis=basis,
    )


def _assumed(recipe: Recipe, captions: bool, text_only: bool) -> tuple[int, int, RowShape, str]:
    """Returns rows, images, the row and the words for data that are not here: the paper's."""
    named = [getattr(settings, "captions", None) for settings in source_settings(recipe)]
    own_file = captions and any(file is not None for file in named)
    rows = ROW_COUNTS["captions" if own_file else "rows"]
    text = _CAPTION_TOKENS if captions else TEXT_TOKENS
    supervised = text if captions else text // 2
    images = 0 if text_only else 1
    words = f"assumed, for the data are not here: {rows:,} rows (the paper's), {text} text tokens each"
    return rows, rows * images, RowShape(text, supervised, images), words


def _rows(source: DataSource, captions: bool, text_only: bool) -> Sequence[TrainingRow]:
    if text_only:
        return source.text_rows("passages" if captions else "conversations")
    return source.caption_rows if captions else source.rows


def _image_count(source: DataSource) -> int:
    return len(source.image_ids("train"))


def _measured(
    rows: Sequence[TrainingRow], resolved: ResolvedRecipe, captions: bool, sample: Sample
) -> tuple[RowShape, str]:
    """Returns the mean row, and where it comes from."""
    step = max(1, len(rows) // _LOOKED_AT)
    some = rows[::step]
    images = round(sum(len(row.images) for row in some) / max(1, len(some)))
    try:
        processor = processor_of(resolved)
    except CobraError:
        text = round(sum(_bytes(row, captions) for row in some) / _BYTES_PER_TOKEN / max(1, len(some)))
        words = f"{sample.label}; the tokenizer is not here: {_BYTES_PER_TOKEN} bytes of text per token assumed"
        return RowShape(max(2, text), max(1, text if captions else text // 2), images), words
    shape = _encoder(resolved).max_shape(resolved.parts["vision_encoder"].config)
    text_tokens = supervised = unfit = 0
    for row in some:
        stand_in = [CachedFeatures(torch.empty(0), shape)] * len(row.images)
        try:
            prepared = (
                processor.caption_row(row.turns[0][1], stand_in) if captions else processor.row(row.turns, stand_in)
            )
        except TextError:
            unfit += 1  # as in training, where it is counted and told
            continue
        text_tokens += len(prepared.text.ids)
        supervised += prepared.num_supervised
    count = max(1, len(some) - unfit)
    return RowShape(max(2, round(text_tokens / count)), max(1, round(supervised / count)), images), (
        f"measured on {sample.label}"
    )


def _encoder(resolved: ResolvedRecipe) -> type[VisionEncoder]:
    return cast("type[VisionEncoder]", resolved.parts["vision_encoder"].component.load_class())


def _bytes(row: TrainingRow, captions: bool) -> int:
    turns = row.turns[:1] if captions else row.turns
    return sum(len(answer.encode()) + (0 if captions else len(question.encode())) for question, answer in turns)
