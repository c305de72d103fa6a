from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import EXTRA, IGNORE_INDEX, TEXT, VISUAL, Layout
from cobra_kit.text.collate import collate_layouts

NUM_EXTRA = 2


@st.composite
def rows(draw):
    """Returns (layout, text length, visual length) of a row with any arrangement of its tokens."""
    num_text, num_visual = draw(st.integers(0, 5)), draw(st.sampled_from([0, 1, 4, 6]))
    places = [(TEXT, i) for i in range(num_text)] + [(VISUAL, i) for i in range(num_visual)]
    places += [(EXTRA, draw(st.integers(0, NUM_EXTRA - 1))) for _ in range(draw(st.integers(0, 2)))]
    places = draw(st.permutations(places))
    labels = [draw(st.sampled_from([IGNORE_INDEX, 7, 8])) for _ in places]
    return Layout([k for k, _ in places], [i for _, i in places], labels), num_text, num_visual


@st.composite
def batches(draw):
    chosen = draw(st.lists(rows(), min_size=1, max_size=5))
    order = draw(st.permutations(range(len(chosen))))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)))) & set(range(1, len(order))))
    pack = [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return chosen, draw(st.sampled_from([None, pack]))


def naive(row, texts, visuals, extras):
    """Returns the embeddings of one row, position by position."""
    tables = {TEXT: texts, VISUAL: visuals, EXTRA: extras}
    picked = [tables[kind][index] for kind, index in zip(row.kind, row.index, strict=True)]
    return torch.stack(picked) if picked else torch.zeros(0, 3)


@given(batches())
def test_gather_equals_concatenation_row_by_row(batch):
    chosen, pack = batch
    layouts, num_text, num_visual = ([row[i] for row in chosen] for i in range(3))
    texts = [torch.randn(n, 3) for n in num_text]
    visuals = [torch.randn(n, 3) for n in num_visual]
    extras = torch.randn(NUM_EXTRA, 3)
    got = collate_layouts(layouts, num_text, num_visual, NUM_EXTRA, pack=pack)
    gathered = torch.cat([*texts, *visuals, extras])[got.source]

    groups = pack or [[row] for row in range(len(layouts))]
    segment_lengths = []
    for packed_row, group in enumerate(groups):
        parts = [naive(layouts[row], texts[row], visuals[row], extras) for row in group]
        length = got.lengths[packed_row]
        assert torch.equal(gathered[packed_row, :length], torch.cat(parts))
        sizes = [len(part) for part in parts]
        segment_lengths += sizes
        assert got.positions[packed_row, :length].tolist() == [i for size in sizes for i in range(size)]
        assert got.segment_ids[packed_row, :length].tolist() == [n for n, s in enumerate(sizes, 1) for _ in range(s)]
        labels = [[IGNORE_INDEX, *layouts[row].labels[1:]][: len(layouts[row].labels)] for row in group]
        assert got.labels[packed_row, :length].tolist() == [label for row in labels for label in row]
        assert got.source[packed_row, length:].eq(0).all()
        assert got.segment_ids[packed_row, length:].eq(0).all()
        assert got.positions[packed_row, length:].eq(0).all()
        assert got.labels[packed_row, length:].eq(IGNORE_INDEX).all()
    assert got.cu_seqlens.tolist() == [sum(segment_lengths[:i]) for i in range(len(segment_lengths) + 1)]
    assert got.source.shape[1] == got.max_length == max(got.lengths)
    assert got.packed == (len(groups) < len(layouts))


def layout(*places, labels=None):
    return Layout([k for k, _ in places], [i for _, i in places], labels or [IGNORE_INDEX] * len(places))


def test_a_small_batch_in_full():
    first = layout((VISUAL, 0), (TEXT, 0), (TEXT, 1), labels=[IGNORE_INDEX, 5, 6])
    second = layout((TEXT, 0), (EXTRA, 0), (VISUAL, 0), (VISUAL, 1), (TEXT, 1), labels=[3, -100, -100, -100, 4])
    batch = collate_layouts([first, second], [2, 2], [1, 2], 1)
    assert batch.source.tolist() == [[4, 0, 1, 0, 0], [2, 7, 5, 6, 3]]
    assert batch.labels.tolist() == [[-100, 5, 6, -100, -100], [-100, -100, -100, -100, 4]]
    assert batch.cu_seqlens.tolist() == [0, 3, 8]
    assert batch.lengths == (3, 5)
    dtypes = [batch.source, batch.segment_ids, batch.positions, batch.labels, batch.cu_seqlens]
    assert [t.dtype for t in dtypes] == [torch.int64, torch.int32, torch.int64, torch.int64, torch.int32]


def test_the_end_of_a_packed_row_never_learns_its_neighbours_start():
    row = layout((TEXT, 0), (TEXT, 1), labels=[3, 4])
    batch = collate_layouts([row, row], [2, 2], [0, 0], 0, pack=[[1, 0]])
    assert batch.labels.tolist() == [[IGNORE_INDEX, 4, IGNORE_INDEX, 4]]
    assert batch.source.tolist() == [[2, 3, 0, 1]]
    assert batch.packed


def test_generation_has_no_labels():
    assert collate_layouts([layout((TEXT, 0))], [1], [0], 0, with_labels=False).labels is None


def test_extras_of_unknown_number_stand_last():
    batch = collate_layouts([layout((EXTRA, 3), (TEXT, 0))], [1], [2])
    assert batch.source.tolist() == [[6, 0]]


def test_no_rows_make_an_empty_batch():
    batch = collate_layouts([], [], [])
    assert batch.source.shape == (0, 0)
    assert batch.cu_seqlens.tolist() == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([layout((TEXT, 0))], [1, 1], [0], 0),
            "1 layouts, 2 text lengths and 1 visual lengths: one of each per row is needed",
        ),
        (
            ([layout(), Layout([TEXT], [0, 1], [])], [1, 2], [0, 0], 0),
            "the layout of row 1 has 1 kinds, 2 indices and 0 labels",
        ),
        (
            ([layout((TEXT, 0), (TEXT, 2))], [2], [0], 0),
            "the layout of row 0 points at index 2 of 2 text tokens (position 1)",
        ),
        (
            ([layout((VISUAL, -1))], [2], [4], 0),
            "the layout of row 0 points at index -1 of 4 visual tokens (position 0)",
        ),
        (
            ([layout((EXTRA, 0))], [2], [4], 0),
            "the layout of row 0 points at index 0 of 0 extra embeddings (position 0)",
        ),
        (
            ([layout((EXTRA, -1))], [2], [4]),
            "the layout of row 0 points at index -1 of an unknown number of extra embeddings (position 0)",
        ),
        (
            ([layout((4, 0))], [2], [4], 0),
            "the layout of row 0 has the kinds [4], which are none of TEXT, VISUAL, EXTRA",
        ),
    ],
)
def test_layouts_that_do_not_fit(arguments, message):
    with pytest.raises(ShapeError) as error:
        collate_layouts(*arguments)
    assert error.value.message == message


@pytest.mark.parametrize("pack", [[[0]], [[0, 1], [1]], [[0, 2], [1]], []])
def test_packing_holds_each_row_once(pack):
    with pytest.raises(ShapeError) as error:
        collate_layouts([layout((TEXT, 0))] * 2, [1, 1], [0, 0], 0, pack=pack)
    assert error.value.message == f"the packing {pack} does not hold each of 2 rows exactly once"
