"""Where curves cross, by the straight lines between measured points; and saying so honestly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.bench.crossing import crossover


def test_between_two_points():
    crossing = crossover("mamba", [(100, 2.0), (200, 2.0)], "pythia", [(100, 1.0), (200, 5.0)])
    assert crossing is not None
    assert crossing.context == pytest.approx(125)
    assert crossing.sentence == "mamba needs less time per token than pythia from 125 tokens of context on"


def test_already_at_the_smallest():
    crossing = crossover("mamba", [(64, 1.0), (256, 1.0)], "pythia", [(64, 1.5), (256, 2.0)])
    assert crossing is not None
    assert crossing.context is None
    assert crossing.sentence == (
        "mamba needs less time per token than pythia already at the smallest context measured, 64 tokens (up to 256)"
    )


def test_not_reached():
    crossing = crossover("mamba", [(64, 3.0), (4096, 3.0)], "pythia", [(64, 1.0), (4096, 2.9)])
    assert crossing is not None
    assert crossing.sentence == (
        "not reached: mamba does not need less time per token than pythia up to 4,096 tokens of context"
    )


def test_the_last_crossing_counts():
    crossing = crossover("m", [(1, 2.0), (2, 1.0), (3, 3.0), (4, 1.0)], "t", [(n, 2.0) for n in (1, 2, 3, 4)])
    assert crossing is not None
    assert crossing.context == pytest.approx(3.5)


def test_one_shared_context_is_no_curve():
    assert crossover("m", [(1, 1.0), (2, 1.0)], "t", [(2, 1.0), (3, 1.0)]) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, unique_by=lambda p: p[0]
    )
)
def test_from_the_crossing_on_the_constant_one_is_faster(points):
    points.sort()
    crossing = crossover("m", [(n, a) for n, a, _ in points], "t", [(n, b) for n, _, b in points])
    assert crossing is not None
    if crossing.verdict == "crosses":
        assert points[0][0] <= crossing.context <= points[-1][0]
        assert all(a < b for n, a, b in points if n > crossing.context)
    assert (crossing.verdict == "never") == (points[-1][1] >= points[-1][2])
