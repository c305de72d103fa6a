"""The place of images in a row: before the text, at their markers, or after the first question.

The three differ in one number per image, the text index it stands before, and share everything else.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import IGNORE_INDEX, TEXT, VISUAL, FusionScheme, Layout, TextRow, TokenShape
from cobra_kit_fusion.config import FusionConfig


class _PlacingScheme(FusionScheme):
    """A scheme without parameters or tokens of its own that puts whole images between text tokens."""

    def __init__(self, config: FusionConfig, *, hidden_size: int) -> None:
        super().__init__(config, hidden_size=hidden_size)

    @staticmethod
    @abstractmethod
    def slots(text: TextRow) -> Sequence[int]:
        """Returns, per image, the index in `text.ids` before which it stands."""

    @classmethod
    def sizes_follow_config(cls, config: FusionConfig) -> bool:
        """Returns True: no file is read."""
        return True

    @classmethod
    def layout(cls, config: FusionConfig, text: TextRow, images: Sequence[TokenShape]) -> Layout:
        """Returns the layout of one row: every text and every visual token once, each kind in its order.

        Raises:
            ShapeError: The row contradicts itself, or has another number of markers than images.
        """
        _check(text, len(images))
        return _place(text, images, cls.slots(text))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Does nothing: there are no parameters."""


class ImageFirst(_PlacingScheme):
    """All images, then the whole text (Cobra, PAPER.md 1.6)."""

    @staticmethod
    def slots(text: TextRow) -> Sequence[int]:
        """Returns 0 for every image."""
        return [0] * len(text.image_slots)


class InPlace(_PlacingScheme):
    """Each image where its marker stood."""

    @staticmethod
    def slots(text: TextRow) -> Sequence[int]:
        """Returns the markers' places."""
        return text.image_slots


class ImageLast(_PlacingScheme):
    """All images after the first user message's text, before the tokens that close it and before its answer."""

    @staticmethod
    def slots(text: TextRow) -> Sequence[int]:
        """Returns the end of the first question for every image; a bare caption has none and comes after them."""
        return [text.question_end] * len(text.image_slots)


def _place(text: TextRow, images: Sequence[TokenShape], slots: Sequence[int]) -> Layout:
    kind: list[int] = []
    index: list[int] = []
    labels: list[int] = []
    text_start = visual_start = 0
    for image, slot in zip(images, slots, strict=True):
        _extend_text(kind, index, labels, text, text_start, slot)
        kind += [VISUAL] * image.num_tokens
        index += range(visual_start, visual_start + image.num_tokens)
        labels += [IGNORE_INDEX] * image.num_tokens
        text_start, visual_start = slot, visual_start + image.num_tokens
    _extend_text(kind, index, labels, text, text_start, len(text.ids))
    return Layout(kind, index, labels)


def _extend_text(kind: list[int], index: list[int], labels: list[int], text: TextRow, start: int, stop: int) -> None:
    kind += [TEXT] * (stop - start)
    index += range(start, stop)
    labels += text.labels[start:stop]


def _check(text: TextRow, num_images: int) -> None:
    length = len(text.ids)
    if len(text.labels) != length:
        raise ShapeError(f"a row of {length} text tokens has {len(text.labels)} labels")
    if len(text.image_slots) != num_images:
        raise ShapeError(
            f"the text has {len(text.image_slots)} image markers, but {num_images} images came with it",
            hint="Give each image one marker, in the order of the images.",
        )
    outside = [slot for slot in text.image_slots if not 0 <= slot <= length]
    if outside:
        raise ShapeError(f"image slot {outside[0]} lies outside the text of {length} tokens (0..{length})")
    if any(later < earlier for earlier, later in zip(text.image_slots, text.image_slots[1:], strict=False)):
        raise ShapeError(f"image slots are not in order: {', '.join(map(str, text.image_slots))}")
    if not 0 <= text.question_end <= length:
        raise ShapeError(f"question end {text.question_end} lies outside the text of {length} tokens (0..{length})")
