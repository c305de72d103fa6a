"""The place of every token in a row: integers on the host, collated for one gather on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cobra_kit.errors import ArgumentError, kind_of

IGNORE_INDEX = -100
"""The label of a position that carries no loss."""

TEXT, VISUAL, EXTRA = 0, 1, 2
"""The values of `Layout.kind`."""


@dataclass(frozen=True, slots=True)
class TextRow:
    """One tokenised conversation, image markers removed.

    Args:
        ids: Token ids, `[t]`.
        labels: Per token the id to learn, or `IGNORE_INDEX`; unshifted.
        image_slots: Per image, in order: the index in `ids` before which its marker stood (0..t).
        question_end: The index in `ids` just after the first user message's text, before its closing tokens.
        answer_start: The index in `ids` of the first answer's first token, or t where there is none yet.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    image_slots: tuple[int, ...]
    question_end: int
    answer_start: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The place of every token of one row of length s. Picklable, host only.

    Args:
        kind: Per position `TEXT`, `VISUAL` or `EXTRA`.
        index: Per position the index into the row's ids, into the row's visual tokens (images in order), or into
            the scheme's extra embeddings.
        labels: Per position the id to learn, or `IGNORE_INDEX`; aligned with the position, unshifted.
    """

    kind: Sequence[int]
    index: Sequence[int]
    labels: Sequence[int]


@dataclass(frozen=True, slots=True)
class LayoutBatch:
    """Layouts collated by the core.

    Args:
        source: `[b s]` int64, index into cat(text, visual, extras); padding points at 0.
        segment_ids: `[b s]` int32; 0 is right padding, 1.. are the packed rows.
        positions: `[b s]` int64, restarting in each segment.
        labels: `[b s]` int64, or None at generation.
        cu_seqlens: `[segments + 1]` int32, cumulative lengths over unpadded tokens.
        lengths: Real tokens per row, on the host.
    """

    source: Tensor
    segment_ids: Tensor
    positions: Tensor
    labels: Tensor | None
    cu_seqlens: Tensor
    lengths: tuple[int, ...]

    @property
    def max_length(self) -> int:
        """Returns the length of the longest row, in tokens, known on the host."""
        return max(self.lengths, default=0)

    @property
    def packed(self) -> bool:
        """Returns whether a row holds more than one segment."""
        return self.cu_seqlens.numel() - 1 > len(self.lengths)

    def to(self, device: torch.device | str) -> LayoutBatch:
        """Returns the same layout with its tensors on `device`."""
        return LayoutBatch(
            source=self.source.to(device, non_blocking=True),
            segment_ids=self.segment_ids.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
            cu_seqlens=self.cu_seqlens.to(device, non_blocking=True),
            lengths=self.lengths,
        )


@dataclass(frozen=True, slots=True)
class FusedSequence:
    """The input of a backbone: `embeddings` `[b s d]` and the layout that made it."""

    embeddings: Tensor
    layout: LayoutBatch

    def __post_init__(self) -> None:
        embeddings: object = self.embeddings
        if not isinstance(embeddings, Tensor):
            raise ArgumentError(f"the embeddings of a sequence are a tensor [b s d], not {kind_of(embeddings)}")
