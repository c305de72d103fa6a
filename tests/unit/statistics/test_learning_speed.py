"""Steps to a level: noise, ties, bounds, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from cobra_kit.errors import CobraError
from cobra_kit.statistics import geometric_mean, reach_level, rising, seed_interval, step_ratio


def curve(*values: float) -> list[tuple[float, float]]:
    return [(100.0 * (index + 1), value) for index, value in enumerate(values)]


def test_a_step_between_two_validations_is_interpolated() -> None:
    crossing = reach_level(curve(0.2, 0.4, 0.8), 0.5)
    assert (crossing.kind, crossing.step) == ("within", pytest.approx(225.0))
    assert reach_level(curve(0.2, 0.5, 0.8), 0.5).step == pytest.approx(200.0)


def test_one_lucky_validation_does_not_reach_a_level_and_one_unlucky_does_not_take_it_back() -> None:
    lucky = reach_level(curve(0.1, 0.7, 0.1, 0.1, 0.1, 0.9), 0.5)
    assert lucky.step > 500
    unlucky = reach_level(curve(0.1, 0.9, 0.9, 0.9, 0.9, 0.4), 0.5)
    assert (unlucky.kind, 100 < unlucky.step < 200) == ("within", True)


def test_what_lies_outside_of_the_curve_is_a_bound() -> None:
    assert (reach_level(curve(0.6, 0.7), 0.5).kind, reach_level(curve(0.6, 0.7), 0.5).step) == ("early", 100)
    assert (reach_level(curve(0.1, 0.4), 0.5).kind, reach_level(curve(0.1, 0.4), 0.5).step) == ("never", 200)
    assert reach_level(curve(0.5, 0.5), 0.5).kind == "early"


def test_the_rising_fit_is_the_nearest_one() -> None:
    values = [3.0, 1.0, 2.0, 5.0, 4.0, 4.0]
    fitted = rising(values)
    assert fitted == pytest.approx([2.0, 2.0, 2.0, 13 / 3, 13 / 3, 13 / 3])
    best = sum((a - b) ** 2 for a, b in zip(fitted, values, strict=True))
    grid = [1.0, 5 / 3, 2.0, 3.0, 13 / 3, 4.0, 5.0]
    for other in itertools.combinations_with_replacement(sorted(grid), len(values)):
        assert best <= sum((a - b) ** 2 for a, b in zip(other, values, strict=True)) + 1e-9


def test_students_interval_of_seeds() -> None:
    interval = seed_interval([1.0, 2.0, 3.0])
    assert (interval.value, interval.low, interval.high) == pytest.approx((2.0, 2 - 2.48414, 2 + 2.48414), abs=1e-4)
    alone = seed_interval([1.0])
    assert (alone.value, alone.low, alone.high) == (1.0, None, None)
    assert seed_interval([2.0, 2.0, 2.0]).low == 2.0


def test_the_ratio_is_paired_by_seed() -> None:
    slow, fast = [200.0, 2000.0, 600.0], [100.0, 1000.0, 300.0]
    ratio = step_ratio(slow, fast)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))
    turned = step_ratio([100.0, 240.0, 90.0], [50.0, 100.0, 60.0])
    back = step_ratio([50.0, 100.0, 60.0], [100.0, 240.0, 90.0])
    assert turned.value * back.value == pytest.approx(1.0)
    assert (turned.low or 0) * (back.high or 0) == pytest.approx(1.0)
    assert geometric_mean([100.0, 400.0]).value == pytest.approx(200.0)


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_of_the_ratio_hold_the_truth_as_often_as_they_say(seeds: int) -> None:
    """Noisy validations of saturating curves; an arm that takes 1.3 times the steps."""
    draw = np.random.default_rng(3)
    steps = np.arange(1, 21) * 50.0
    held, tables = 0, 1500
    for _ in range(tables):
        both = []
        for slowness in (1.3, 1.0):
            times = 250 * slowness * np.exp(draw.normal(0, 0.25, seeds))
            values = 0.5 + 0.4 * (1 - np.exp(-steps / times[:, None])) + draw.normal(0, 0.03, (seeds, 20))
            crossings = [reach_level(list(zip(steps.tolist(), row, strict=True)), 0.7) for row in values.tolist()]
            both.append([crossing.step for crossing in crossings])
        interval = step_ratio(*both)
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 1.3 <= interval.high
    assert 0.93 <= held / tables <= 0.97


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: reach_level([(1.0, 0.5)], 0.5), "a learning curve needs two steps or more"),
        (lambda: reach_level([(2.0, 0.5), (2.0, 0.6)], 0.5), "each later than the one before, got \\[2.0, 2.0\\]"),
        (lambda: step_ratio([1.0], [1.0, 2.0]), "as many seeds of both, got 1 and 2"),
        (lambda: step_ratio([1.0], [0.0]), "steps must be above 0, got 0"),
        (lambda: geometric_mean([]), "no seeds: nothing to average"),
        (lambda: seed_interval([1.0], level=1.0), "level must lie between 0 and 1, got 1.0"),
        (lambda: reach_level([(1.0, 0.5), (2.0, 0.6)], math.nan), "level"),
    ],
)
def test_what_cannot_be_computed_is_refused(call: object, text: str) -> None:
    with pytest.raises(CobraError, match=text):
        call()  # type: ignore[operator]
