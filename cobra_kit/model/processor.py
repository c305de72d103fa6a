"""Conversations and images to batches, without any weights: picklable, for data workers and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from PIL.Image import Image

from cobra_kit._plugins import Component, call_component, place_of
from cobra_kit.errors import ArgumentError, kind_of
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
from cobra_kit.model.returned import expect
from cobra_kit.text.collate import collate_layouts
from cobra_kit.text.encode import encode_caption, encode_conversation

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cobra_kit.plugin import Kind


@dataclass(frozen=True, slots=True)
class Processor:
    """A converter of rows into batches, for one composition of parts.

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
            images: RGB images, prepared images, or cached features.
            for_generation: The last answer is None and is to be generated.

        Raises:
            ArgumentError: An argument is of a wrong kind.
            TextError: The turns break the template's rules, or markers and images do not match.
        """
        _check_images(images)
        text = encode_conversation(turns, self.codec, for_generation=for_generation, num_images=len(images))
        return self._lay_out(text, images)

    def caption_row(self, caption: str, images: Sequence[Image | PreparedImage | CachedFeatures]) -> PreparedRow:
        """Returns a row of the align stage: images and a bare caption, every token of it supervised."""
        _check_images(images)
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
            rows: Rows; none give an empty batch.
            for_generation: Leaves the labels out; an image that several rows share, the same object, is encoded once.
            loss_unit: What counts the same in the loss, `token` or `answer`.
            pack: Which rows share a packed row, in order; None puts each row on its own.

        Raises:
            ArgumentError: An argument is of a wrong kind.
            ShapeError: The layouts of the fusion scheme, or the packing, do not fit the rows.
        """
        _check_rows(rows)
        if not isinstance(loss_unit, str) or loss_unit not in get_args(LossUnit):
            raise ArgumentError(f"loss_unit must be one of {', '.join(get_args(LossUnit))}, not {loss_unit!r}")
        images = [image for row in rows for image in row.images]
        layout = collate_layouts(
            [row.layout for row in rows],
            text_lengths=[len(row.text.ids) for row in rows],
            visual_lengths=[sum(self.output_shape(image.shape).num_tokens for image in row.images) for row in rows],
            with_labels=not for_generation,
            pack=pack,
            whose=self.layout.place if isinstance(self.layout, _PartCall) else None,
        )
        positions, targets = supervised_targets(layout)
        weights = weigh_targets(positions, loss_unit)
        return Batch(
            text_ids=torch.tensor([token for row in rows for token in row.text.ids], dtype=torch.int64),
            images=group_images(images, self.output_shape, shared=for_generation),
            layout=layout,
            target_positions=positions,
            targets=targets,
            target_weights=weights,
            total_weight=float(weights.sum()),
            num_extra=max((_num_extra(row.layout) for row in rows), default=0),
        )

    def _lay_out(self, text: TextRow, images: Sequence[Image | PreparedImage | CachedFeatures]) -> PreparedRow:
        # Lengths come from shapes alone, so a row is laid out without the encoder having run.
        prepared = tuple(self.preprocess(image) if isinstance(image, Image) else image for image in images)
        shapes = [self.output_shape(image.shape) for image in prepared]
        return PreparedRow(text, prepared, self.layout(text, shapes))


def _check_images(images: object) -> None:
    hint = "Open files with cobra_kit.images.open_image; PIL.Image.fromarray makes an image of an array."
    if not isinstance(images, list | tuple):
        raise ArgumentError(f"images must be a list of images, not {kind_of(images)}", hint=hint)
    for number, image in enumerate(images, start=1):
        if not isinstance(image, Image | PreparedImage | CachedFeatures):
            raise ArgumentError(
                f"images must be PIL or prepared ones, and number {number} is {kind_of(image)}", hint=hint
            )


def _check_rows(rows: object) -> None:
    if not isinstance(rows, list | tuple) or not all(isinstance(row, PreparedRow) for row in rows):
        wrong = (
            next((row for row in rows if not isinstance(row, PreparedRow)), rows) if isinstance(rows, list) else rows
        )
        raise ArgumentError(
            f"rows must be a list of prepared rows, not {kind_of(wrong)}", hint="processor.row makes one."
        )


def make_processor(
    classes: tuple[type[VisionEncoder], type[Projector], type[FusionScheme], type[Backbone]],
    configs: tuple[BaseModel, BaseModel, BaseModel, BaseModel],
    codec: TextCodec | None = None,
    *,
    components: Mapping[Kind, Component] | None = None,
) -> Processor:
    """Returns the processor of a composition, from classes and configs alone (no weights, no modules).

    Args:
        classes: Encoder, projector, fusion scheme, backbone.
        configs: Theirs, in that order.
        codec: Tokenizer and template; None: the backbone's own.
        components: What they were registered as, for errors that name them.

    Raises:
        PluginError: A component raises, or returns something else than its contract names.
    """
    encoder, projector, fusion, backbone = classes
    encoder_config, projector_config, fusion_config, backbone_config = configs
    known = components or {}

    # A call object in place of a closure: data workers receive the processor pickled.
    def part(kind: Kind, method: Callable[..., Any], wanted: Any, *bound: Any) -> _PartCall:
        return _PartCall(known.get(kind), method, wanted, bound)

    prepare = part("vision_encoder", encoder.preprocess, Callable)(encoder_config)
    return Processor(
        codec=codec or part("backbone", backbone.text_codec, TextCodec)(backbone_config),
        preprocess=part("vision_encoder", prepare, PreparedImage),
        output_shape=part("projector", projector.output_shape, TokenShape, projector_config),
        layout=part("fusion", fusion.layout, Layout, fusion_config),
    )


def _num_extra(layout: Layout) -> int:
    """Returns how many of the fusion scheme's own embeddings a layout needs."""
    kind = np.asarray(layout.kind)
    return int(np.asarray(layout.index)[kind == EXTRA].max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class _PartCall:
    """A method of a part's class as a picklable function: what it raises names it, what it returns is checked.

    Args:
        component: Whose method it is, or None.
        method: The function that is called.
        wanted: The type that it returns.
        bound: The first arguments of the function.
    """

    component: Component | None
    method: Callable[..., Any]
    wanted: type
    bound: tuple[Any, ...]

    def __call__(self, *args: Any) -> Any:
        value = call_component(self.component, self.method, *self.bound, *args)
        return expect(value, self.wanted, self.method, self.title)

    @property
    def title(self) -> str:
        """Returns the start of an error message."""
        return "the model" if self.component is None else self.component.title

    def place(self) -> str:
        """Returns file, line and component, for an error found later."""
        written = place_of(self.method)
        return f"{written}: {self.title}" if written else self.title
