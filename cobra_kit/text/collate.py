"""Layouts of single rows to one `LayoutBatch`: offsets, padding on the right, packing. Integers only.

The source of a position indexes cat(text, visual, extras), where text and visual tokens of all rows stand one row after
the other, unpadded; extras are shared by all rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cobra_kit.errors import ShapeError, kind_of
from cobra_kit.interfaces import EXTRA, IGNORE_INDEX, TEXT, VISUAL, Layout, LayoutBatch

Integers = NDArray[np.int64]
Whose = Callable[[], str] | None


def collate_layouts(
    layouts: Sequence[Layout],
    text_lengths: Sequence[int],
    visual_lengths: Sequence[int],
    num_extra: int | None = None,
    *,
    with_labels: bool = True,
    pack: Sequence[Sequence[int]] | None = None,
    whose: Whose = None,
) -> LayoutBatch:
    """Returns the batch of b layouts.

    The first position of a segment never carries a label: nothing stands before it that could predict it, and in a
    packed row the neighbour must not.

    Args:
        layouts: One per row of the batch.
        text_lengths: Text tokens of each row.
        visual_lengths: Visual tokens of each row, all its images together, after the projector.
        num_extra: Extra embeddings of the fusion scheme; None leaves the indices of extras unchecked, for they belong
            to the scheme's weights and nothing stands behind them.
        with_labels: False at generation.
        pack: Per packed row the layouts it holds, in order, each layout in exactly one; None: one layout per row.
        whose: Says which fusion scheme made the layouts, for errors.

    Raises:
        ShapeError: The arguments do not fit each other, or a layout points outside its row.
    """
    if not len(layouts) == len(text_lengths) == len(visual_lengths):
        raise ShapeError(
            f"{len(layouts)} layouts, {len(text_lengths)} text lengths and {len(visual_lengths)} visual lengths: "
            "one of each per row is needed"
        )
    groups = [[row] for row in range(len(layouts))] if pack is None else _groups(pack)
    if sorted(row for group in groups for row in group) != list(range(len(layouts))):
        raise ShapeError(f"the packing {groups} does not hold each of {len(layouts)} rows exactly once")

    text_starts = [0, *accumulate(text_lengths)]
    visual_starts = [text_starts[-1] + start for start in (0, *accumulate(visual_lengths))]
    sources = [
        _source(
            layout,
            row,
            starts=(text_starts[row], visual_starts[row], visual_starts[-1]),
            sizes=(text_lengths[row], visual_lengths[row], sys.maxsize if num_extra is None else num_extra),
            whose=whose,
        )
        for row, layout in enumerate(layouts)
    ]
    lengths = tuple(sum(len(sources[row]) for row in group) for group in groups)
    shape = (len(groups), max(lengths, default=0))
    source, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    segment_ids = np.zeros(shape, np.int32)
    labels = np.full(shape, IGNORE_INDEX, np.int64)
    ends = [0]
    for packed_row, group in enumerate(groups):
        begin = 0
        for number, row in enumerate(group, start=1):
            end = begin + len(sources[row])
            source[packed_row, begin:end] = sources[row]
            positions[packed_row, begin:end] = np.arange(end - begin)
            segment_ids[packed_row, begin:end] = number
            labels[packed_row, begin + 1 : end] = layouts[row].labels[1:]
            ends.append(ends[-1] + end - begin)
            begin = end
    return LayoutBatch(
        source=torch.from_numpy(source),
        segment_ids=torch.from_numpy(segment_ids),
        positions=torch.from_numpy(positions),
        labels=torch.from_numpy(labels) if with_labels else None,
        cu_seqlens=torch.tensor(ends, dtype=torch.int32),
        lengths=lengths,
    )


def _source(
    layout: Layout, row: int, *, starts: tuple[int, int, int], sizes: tuple[int, int, int], whose: Whose
) -> Integers:
    """Returns per position its index into cat(text, visual, extras), after checking the layout."""
    kind, index, labels = (
        _integers(getattr(layout, name), f"the layout of row {row}: {name}", whose)
        for name in ("kind", "index", "labels")
    )
    if not len(kind) == len(index) == len(labels):
        raise ShapeError(
            f"the layout of row {row} has {len(kind)} kinds, {len(index)} indices and {len(labels)} labels",
            where=whose and whose(),
            hint="A fusion scheme gives one of each per position.",
        )
    unknown = set(kind.tolist()) - {TEXT, VISUAL, EXTRA}
    if unknown:
        raise ShapeError(
            f"the layout of row {row} has the kinds {sorted(unknown)}, which are none of TEXT, VISUAL, EXTRA",
            where=whose and whose(),
        )
    wrong = np.flatnonzero((index < 0) | (index >= np.asarray(sizes)[kind]))
    if wrong.size:
        at = int(wrong[0])
        size = "an unknown number of" if sizes[kind[at]] == sys.maxsize else sizes[kind[at]]
        name = ("text tokens", "visual tokens", "extra embeddings")[kind[at]]
        raise ShapeError(
            f"the layout of row {row} points at index {index[at]} of {size} {name} (position {at})",
            where=whose and whose(),
            hint="A fusion scheme lays out the tokens of its own row only.",
        )
    return np.asarray(starts)[kind] + index


def _integers(values: object, what: str, whose: Whose) -> Integers:
    """Returns a list of whole numbers as an array; anything else is refused, never rounded."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:  # a list of lists of several lengths
        raise ShapeError(f"{what} is no list of whole numbers: {error}", where=whose and whose()) from error
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ShapeError(
            f"{what} is {_kind_of(values, array)}, expected a list of whole numbers",
            where=whose and whose(),
        )
    return array.astype(np.int64, copy=False)


def _kind_of(values: object, array: NDArray[Any]) -> str:
    return f"{kind_of(values)} of shape {list(array.shape)} and type {array.dtype}" if array.ndim else kind_of(values)


def _groups(pack: object) -> list[list[int]]:
    if not isinstance(pack, list | tuple) or not all(isinstance(group, list | tuple) for group in pack):
        raise ShapeError(
            f"a packing is a list of lists of row numbers, not {kind_of(pack)}", hint="Such as [[0, 2], [1]]."
        )
    for number in (number for group in pack for number in group):
        if not isinstance(number, int | np.integer) or isinstance(number, bool):
            raise ShapeError(f"a packing holds row numbers, not {kind_of(number)}", hint="Such as [[0, 2], [1]].")
    return [list(group) for group in pack]
