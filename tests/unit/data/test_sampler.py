"""The sampler's promises: every row once per epoch, the same order again, resumable anywhere, little padding."""

from __future__ import annotations

import json
import random
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.data.sampler import STRETCH, LengthGroupedSampler, SamplerState, padding_share

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=200)
SIZES = st.integers(1, 20)


def epoch(sampler):
    return [sampler.next_batch() for _ in range(sampler.batches_per_epoch)]


@given(LENGTHS, SIZES, st.integers(0, 2**40))
def test_every_row_comes_once_per_epoch_in_batches_of_the_size(lengths, size, seed):
    sampler = LengthGroupedSampler(lengths, size, seed)
    for _ in range(2):
        batches = epoch(sampler)
        assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
        assert sorted(map(len, batches))[1:] == [size] * (len(batches) - 1)
        assert all([lengths[i] for i in b] == sorted((lengths[i] for i in b), reverse=True) for b in batches)


@given(LENGTHS, SIZES, st.integers(0, 2**40), st.integers(0, 60))
def test_it_goes_on_from_its_state_as_if_it_had_never_stopped(lengths, size, seed, before):
    sampler = LengthGroupedSampler(lengths, size, seed)
    for _ in range(before):
        sampler.next_batch()
    state = SamplerState(**json.loads(json.dumps(asdict(sampler.state))))
    resumed = LengthGroupedSampler(lengths, size, seed, state)
    assert [sampler.next_batch() for _ in range(30)] == [resumed.next_batch() for _ in range(30)]


def test_seed_and_epoch_change_the_order():
    lengths = [1] * 100
    first = LengthGroupedSampler(lengths, 10, seed=0)
    once, twice = epoch(first), epoch(first)
    assert once != twice
    assert once != epoch(LengthGroupedSampler(lengths, 10, seed=1))
    assert [set(b) for b in once] != [set(b) for b in twice], "other rows meet in the next epoch"


def test_the_order_is_the_same_on_every_machine():
    assert epoch(LengthGroupedSampler([3, 1, 4, 1, 5, 9, 2, 6], 3, seed=7)) == [[5, 7, 4], [2, 0, 6], [1, 3]]


def test_a_longer_prefix_for_all_rows_changes_no_batch():
    """So arms that differ in visual tokens per image see the same rows in the same order."""
    lengths = [random.Random(i).randint(5, 90) for i in range(500)]
    longer = [length + 144 for length in lengths]
    assert epoch(LengthGroupedSampler(lengths, 16, seed=3)) == epoch(LengthGroupedSampler(longer, 16, seed=3))


def test_grouping_saves_most_of_the_padding():
    lengths = [random.Random(i).randint(10, 200) for i in range(16 * STRETCH)]
    grouped = padding_share([[lengths[i] for i in batch] for batch in epoch(LengthGroupedSampler(lengths, 16, 0))])
    plain = padding_share([lengths[i : i + 16] for i in range(0, len(lengths), 16)])
    assert plain > 0.35
    assert grouped < 0.03


def test_padding_share_by_hand():
    assert padding_share([[4, 2], [3]]) == pytest.approx(2 / 11)
    assert padding_share([]) == 0


@pytest.mark.parametrize(("lengths", "size"), [([], 4), ([1], 0)])
def test_nothing_to_draw_from_is_an_error(lengths, size):
    with pytest.raises(ValueError, match="cannot draw batches"):
        LengthGroupedSampler(lengths, size, 0)
