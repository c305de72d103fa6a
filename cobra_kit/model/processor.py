"""Conversations and images to batches, without any weights: picklable, for data workers and checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL.Image import Image

from cobra_kit.interfaces import (
    EXTRA,
    Backbone,
    FusionScheme,
    Layout,
    PreparedImage,
    Projector,
    TextCodec,
    TextRow,
    TokenShape,
    VisionEncoder,
)
from cobra_kit.model.batch import (
    Batch,
    CachedFeatures,
    LossUnit,
    PreparedRow,
    group_images,
    supervised_targets,
    weigh_targets,
)
from cobra_kit.text.collate import collate_layouts
from cobra_kit.text.encode import encode_caption, encode_conversation

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Processor:
    """What turns rows into batches for one composition of parts.

    Args:
        codec: The backbone's tokenizer and template.
        preprocess: The encoder's image preparation.
        output_shape: Token shape before the projector -> after it.
        layout: The fusion scheme's layout of one row.
    """

    codec: TextCodec
    preprocess: Callable[[Image], PreparedImage]
    output_shape: Callable[[TokenShape], TokenShape]
    layout: Callable[[TextRow, Sequence[TokenShape]], Layout]

    def row(
        self,
        turns: Sequence[tuple[str, str | None]],
        images: Sequence[Image | PreparedImage | CachedFeatures] = (),
        *,
        for_generation: bool = False,
    ) -> PreparedRow:
        """Returns one conversation with its images, laid out.

        Args:
            turns: (question, answer) pairs; `<image>` in a question marks where an image stood.
            images: RGB pictures, prepared images, or cached features.
            for_generation: The last answer is None and is to be generated.

        Raises:
            TextError: The turns break the template's rules, or markers and images do not match.
        """
        text = encode_conversation(turns, self.codec, for_generation=for_generation, num_images=len(images))
        return self._lay_out(text, images)

    def caption_row(self, caption: str, images: Sequence[Image | PreparedImage | CachedFeatures]) -> PreparedRow:
        """Returns a row of the align stage: images and a bare caption, every token of it supervised."""
        return self._lay_out(encode_caption(caption, self.codec, num_images=len(images)), images)

    def collate(
        self,
        rows: Sequence[PreparedRow],
        *,
        for_generation: bool = False,
        loss_unit: LossUnit = "token",
        pack: Sequence[Sequence[int]] | None = None,
    ) -> Batch:
        """Returns the rows as one batch on the CPU.

        Args:
            rows: At least one row.
            for_generation: Leaves the labels out.
            loss_unit: What counts the same in the loss, `token` or `answer`.
            pack: Which rows share a packed row, in order; None puts each row on its own.
        """
        images = [image for row in rows for image in row.images]
        layout = collate_layouts(
            [row.layout for row in rows],
            text_lengths=[len(row.text.ids) for row in rows],
            visual_lengths=[sum(self.output_shape(image.shape).num_tokens for image in row.images) for row in rows],
            with_labels=not for_generation,
            pack=pack,
        )
        positions, targets = supervised_targets(layout)
        weights = weigh_targets(positions, loss_unit)
        return Batch(
            text_ids=torch.tensor([token for row in rows for token in row.text.ids], dtype=torch.int64),
            images=group_images(images, self.output_shape),
            layout=layout,
            target_positions=positions,
            targets=targets,
            target_weights=weights,
            total_weight=float(weights.sum()),
            num_extra=max((_num_extra(row.layout) for row in rows), default=0),
        )

    def _lay_out(self, text: TextRow, images: Sequence[Image | PreparedImage | CachedFeatures]) -> PreparedRow:
        prepared = tuple(self.preprocess(image) if isinstance(image, Image) else image for image in images)
        shapes = [self.output_shape(image.shape) for image in prepared]
        return PreparedRow(text, prepared, self.layout(text, shapes))


def make_processor(
    classes: tuple[type[VisionEncoder], type[Projector], type[FusionScheme], type[Backbone]],
    configs: tuple[BaseModel, BaseModel, BaseModel, BaseModel],
    codec: TextCodec | None = None,
) -> Processor:
    """Returns the processor of a composition, from classes and configs alone (no weights, no modules).

    Args:
        classes: Encoder, projector, fusion scheme, backbone.
        configs: Theirs, in that order.
        codec: Tokenizer and template; None: the backbone's own.
    """
    encoder, projector, fusion, backbone = classes
    encoder_config, projector_config, fusion_config, backbone_config = configs
    return Processor(
        codec=codec or backbone.text_codec(backbone_config),
        preprocess=encoder.preprocess(encoder_config),
        output_shape=partial(_call_output_shape, projector, projector_config),
        layout=partial(_call_layout, fusion, fusion_config),
    )


def _num_extra(layout: Layout) -> int:
    """Returns how many of the fusion scheme's own embeddings a layout needs."""
    kind = np.asarray(layout.kind)
    return int(np.asarray(layout.index)[kind == EXTRA].max(initial=-1)) + 1


def _call_output_shape(projector: type[Projector], config: Any, shape: TokenShape) -> TokenShape:
    return projector.output_shape(config, shape)


def _call_layout(fusion: type[FusionScheme], config: Any, text: TextRow, images: Sequence[TokenShape]) -> Layout:
    return fusion.layout(config, text, images)
