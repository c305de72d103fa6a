from __future__ import annotations

import numpy as np
import pytest

from cobra_kit.errors import CobraError
from cobra_kit.statistics import (
    bootstrap_difference,
    detectable_between_seeds,
    detectable_difference,
    planned_detectable_difference,
    standard_error,
)


def test_the_standard_error_agrees_with_the_bootstraps_spread() -> None:
    random = np.random.default_rng(4)
    clusters = random.integers(0, 200, 800)
    groups = random.integers(0, 3, 800)
    values = random.normal(0, 0.5, 800) + random.normal(0, 0.3, 200)[clusters]
    for group in (None, groups):
        interval = bootstrap_difference(values, np.zeros(800), clusters, group)
        assert interval.low is not None
        assert interval.high is not None
        assert standard_error(values, clusters, group) == pytest.approx((interval.high - interval.low) / 3.92, rel=0.04)


def test_without_clusters_it_is_the_textbooks() -> None:
    values = np.random.default_rng(1).normal(0, 1, 50)
    assert standard_error(values) == pytest.approx(values.std(ddof=1) / 50**0.5)


def test_with_seeds_it_has_the_intervals_width() -> None:
    random = np.random.default_rng(9)
    values = random.normal(0, 0.4, (8, 400)) + random.normal(0, 0.1, 8)[:, None]
    interval = bootstrap_difference(values, np.zeros_like(values))
    assert interval.low is not None
    assert interval.high is not None
    assert standard_error(values) == pytest.approx((interval.high - interval.low) / 3.92, rel=0.08)


def test_a_difference_of_that_size_is_seen_in_four_of_five_experiments() -> None:
    random = np.random.default_rng(6)
    difference = detectable_difference(random.permutation([1.0] * 40 + [-1.0] * 40 + [0.0] * 320))
    assert difference is not None
    seen = 0
    for repetition in range(400):
        sample = random.choice([-1.0, 0.0, 1.0], 400, p=[0.1 - difference / 2, 0.8, 0.1 + difference / 2])
        seen += bootstrap_difference(sample, np.zeros(400), resamples=800, seed=repetition).excludes_zero
    assert 0.74 <= seen / 400 <= 0.86


def test_a_plan_equals_what_is_measured_later() -> None:
    random = np.random.default_rng(8)
    differences = random.permutation([1.0] * 100 + [-1.0] * 100 + [0.0] * 800)
    assert planned_detectable_difference(1000, disagreement=0.2) == pytest.approx(
        detectable_difference(differences), rel=0.001
    )
    assert planned_detectable_difference(250, 4, correlation=1.0) == planned_detectable_difference(250)
    assert planned_detectable_difference(250, 4) == planned_detectable_difference(1000)
    assert planned_detectable_difference(1) == 1.0  # a score cannot change by more


def test_arms_that_answer_alike_and_single_images_say_nothing() -> None:
    assert detectable_difference([0.0] * 50) is None
    assert detectable_difference([0.0, 1.0, 0.0], clusters=["p", "p", "p"]) is None
    # One seed's differences cancel and the others have none: what is left of the error is rounding.
    cancelling = [[1, -1, 0, 0, 0, 1, 0, 0, 0, -1, 0], [0] * 11, [0] * 11]
    assert detectable_difference(cancelling) is None
    assert detectable_difference([1.0] + [0.0] * 999_999) is not None


def test_a_difference_of_that_size_between_unpaired_seeds_is_seen_in_four_of_five_repetitions() -> None:
    rng, seeds = np.random.default_rng(0), 5
    scattered = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    scattered /= scattered.std(ddof=1)
    size = detectable_between_seeds(scattered)
    assert size is not None
    differences = size + rng.normal(size=(20_000, seeds)) - rng.normal(size=(20_000, seeds))
    error = differences.std(axis=1, ddof=1) / np.sqrt(seeds)
    seen = differences.mean(axis=1) > 2.776 * error  # Student's t, 4 degrees of freedom
    assert 0.75 < seen.mean() < 0.9
    assert detectable_between_seeds(scattered * 3) == pytest.approx(3 * size)
    assert detectable_between_seeds([0.5]) is None
    assert detectable_between_seeds([0.5, 0.5, 0.5]) is None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: planned_detectable_difference(0), "a design needs pictures and questions about each, got 0"),
        (lambda: planned_detectable_difference(9, disagreement=0), r"disagreement must lie in \(0, 1\]"),
        (lambda: planned_detectable_difference(9, power=1.0), "power and level must lie between 0 and 1"),
        (lambda: standard_error([]), "no questions"),
    ],
)
def test_bad_designs_are_refused(call: object, text: str) -> None:
    assert callable(call)
    with pytest.raises(CobraError, match=text):
        call()
