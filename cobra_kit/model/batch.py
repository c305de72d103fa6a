"""One batch on its way to the model: flat text ids, groups of images (or their cached features), and a layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from cobra_kit.interfaces import IGNORE_INDEX, Layout, LayoutBatch, PreparedImage, TextRow, TokenShape
from cobra_kit.model.device import usable_device

LossUnit = Literal["token", "answer"]
"""What counts the same in the loss: every supervised token, or every answer."""


@dataclass(frozen=True, slots=True)
class CachedFeatures:
    """The features a frozen encoder returned for one image: `values` `[n d]`. Stands in for a `PreparedImage`."""

    values: Tensor
    shape: TokenShape


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One conversation, ready to be collated; its length is known without a model.

    Args:
        text: The tokenised text.
        images: The images in order of their markers, prepared or already encoded.
        layout: The order in which text and visual tokens stand.
    """

    text: TextRow
    images: tuple[PreparedImage | CachedFeatures, ...]
    layout: Layout

    @property
    def num_tokens(self) -> int:
        """Returns the fused length of the row, visual tokens included."""
        return len(self.layout.kind)

    @property
    def num_supervised(self) -> int:
        """Returns how many tokens of the row carry loss (the first token of a row cannot)."""
        return sum(label != IGNORE_INDEX for label in self.layout.labels[1:])


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """Images of one size, stacked.

    Args:
        tensors: Named encoder inputs, each `[k 3 h w]`; empty if `features` is there.
        features: Cached encoder output `[k n d]`, or None.
        shape: The encoder's token shape of every image in the group.
        indices: Which of the batch's images these are.
        projected: Tokens of every image after the projector, as the layout has them; None: there is no layout.
        rows: Where each of them stands in the stack, since one image may be there for several; None: in order.
    """

    tensors: Mapping[str, Tensor]
    features: Tensor | None
    shape: TokenShape
    indices: tuple[int, ...]
    projected: TokenShape | None = None
    rows: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """Returns how many images are stacked."""
        return len(self.indices) if self.rows is None else max(self.rows) + 1


@dataclass(frozen=True, slots=True)
class Batch:
    """The input of `VisionLanguageModel`.

    Args:
        text_ids: Ids of all rows, `[t]`, unpadded.
        images: All images of the batch, by size.
        layout: Where each position comes from.
        target_positions: `[m]` index into the flattened `[b * s]` hidden states that predict a supervised token.
        targets: `[m]` the ids they are to predict.
        target_weights: `[m]` float32, what each counts in the loss.
        total_weight: Their sum, known on the host.
        num_extra: How many of the fusion scheme's own embeddings the layout points at.
    """

    text_ids: Tensor
    images: tuple[ImageGroup, ...]
    layout: LayoutBatch
    target_positions: Tensor
    targets: Tensor
    target_weights: Tensor
    total_weight: float
    num_extra: int = 0

    @property
    def num_rows(self) -> int:
        """Returns the number of rows, `b`."""
        return self.layout.source.shape[0]

    @property
    def num_supervised(self) -> int:
        """Returns how many tokens carry loss."""
        return self.targets.numel()

    def to(self, device: torch.device | str) -> Batch:
        """Returns the batch with every tensor on `device`.

        Raises:
            ArgumentError: There is no such device.
        """
        device = usable_device(device)
        return Batch(
            text_ids=self.text_ids.to(device, non_blocking=True),
            images=tuple(_move(group, device) for group in self.images),
            layout=self.layout.to(device),
            target_positions=self.target_positions.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
            target_weights=self.target_weights.to(device, non_blocking=True),
            total_weight=self.total_weight,
            num_extra=self.num_extra,
        )


def group_images(
    images: Sequence[PreparedImage | CachedFeatures],
    output_shape: Callable[[TokenShape], TokenShape] | None = None,
    *,
    shared: bool = False,
) -> tuple[ImageGroup, ...]:
    """Returns the images stacked by size, so that one encoder call sees one size only.

    Args:
        images: The images to stack, in the order of the batch.
        output_shape: Token shape before the projector -> after it, as the layout has it; None: there is no layout.
        shared: Whether an image that is there several times, as the same object, is stacked and encoded once.
    """
    groups: dict[object, list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(_size_key(image), []).append(index)
    stacked = [(_stack_once if shared else _stack)(images, indices) for indices in groups.values()]
    return tuple(replace(group, projected=output_shape(group.shape)) if output_shape else group for group in stacked)


def supervised_targets(layout: LayoutBatch) -> tuple[Tensor, Tensor]:
    """Returns (`[m]` positions in the flattened batch that predict, `[m]` ids they predict).

    Position i predicts the label of i + 1 of the same segment; computed on the host, so the loss needs no sync.
    """
    if layout.labels is None:
        empty = torch.empty(0, dtype=torch.int64)
        return empty, empty
    # A packed row holds several segments; the last token of one must not learn the first of the next.
    following = layout.labels[:, 1:]
    same_segment = layout.segment_ids[:, 1:] == layout.segment_ids[:, :-1]
    rows, columns = ((following != IGNORE_INDEX) & same_segment).nonzero(as_tuple=True)
    return rows * layout.labels.shape[1] + columns, following[rows, columns]


def weigh_targets(positions: Tensor, unit: LossUnit) -> Tensor:
    """Returns the weight `[m]` of each supervised token.

    Args:
        positions: `[m]` from `supervised_targets`; the tokens of one answer stand side by side.
        unit: `token`: every token counts 1. `answer`: every answer counts 1, its tokens share that, so that a box of
            twenty tokens does not outweigh twenty answers of one.
    """
    if unit == "token" or not positions.numel():
        return torch.ones(positions.numel())
    # A gap in the positions is where an answer ends: between two of them something predicts no supervised token.
    starts = torch.ones(positions.numel(), dtype=torch.bool)
    starts[1:] = positions.diff() != 1
    answer = starts.cumsum(0) - 1
    return 1.0 / answer.bincount()[answer].float()


def _size_key(image: PreparedImage | CachedFeatures) -> object:
    if isinstance(image, CachedFeatures):
        return ("features", image.shape, tuple(image.values.shape))
    return ("image", image.shape, *((name, tuple(t.shape)) for name, t in image.tensors.items()))


def _stack(images: Sequence[PreparedImage | CachedFeatures], indices: Sequence[int]) -> ImageGroup:
    first = images[indices[0]]
    if isinstance(first, CachedFeatures):
        values = [image.values for i in indices if isinstance(image := images[i], CachedFeatures)]
        return ImageGroup({}, torch.stack(values), first.shape, tuple(indices))
    prepared = [image for i in indices if isinstance(image := images[i], PreparedImage)]
    tensors = {name: torch.stack([image.tensors[name] for image in prepared]) for name in first.tensors}
    return ImageGroup(tensors, None, first.shape, tuple(indices))


def _stack_once(images: Sequence[PreparedImage | CachedFeatures], indices: Sequence[int]) -> ImageGroup:
    first_places: dict[int, int] = {}
    for index in indices:
        first_places.setdefault(id(images[index]), index)
    group = _stack(images, list(first_places.values()))
    if len(first_places) == len(indices):
        return group
    rows = {image: row for row, image in enumerate(first_places)}
    return replace(group, indices=tuple(indices), rows=tuple(rows[id(images[index])] for index in indices))


def _move(group: ImageGroup, device: torch.device | str) -> ImageGroup:
    return replace(
        group,
        tensors={name: tensor.to(device, non_blocking=True) for name, tensor in group.tensors.items()},
        features=None if group.features is None else group.features.to(device, non_blocking=True),
    )
