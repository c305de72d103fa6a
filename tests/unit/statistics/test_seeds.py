from __future__ import annotations

import numpy as np
import pytest

from cobra_kit.errors import CobraError
from cobra_kit.statistics import bootstrap_difference, seed_spread
from cobra_kit.statistics.seeds import images_share, seed_variance


def test_mean_and_sample_deviation_over_seeds() -> None:
    spread = seed_spread([1.0, 2.0, 3.0])
    assert (spread.mean, spread.deviation, spread.values) == (2.0, 1.0, (1.0, 2.0, 3.0))
    assert seed_spread([0.5]).deviation is None
    with pytest.raises(CobraError, match="no seeds"):
        seed_spread([])


def coverage(seeds: int, seed_deviation: float, repetitions: int = 1000) -> float:
    random = np.random.default_rng(21)
    images, per_image, truth = 60, 2, 0.05
    clusters = np.repeat(np.arange(images), per_image)
    hits = 0
    for repetition in range(repetitions):
        by_image = random.normal(0, 0.3, images)[clusters]
        by_seed = random.normal(0, seed_deviation, seeds)[:, None]
        differences = truth + by_image + by_seed + random.normal(0, 0.5, (seeds, clusters.size))
        interval = bootstrap_difference(
            differences, np.zeros_like(differences), clusters, resamples=400, seed=repetition
        )
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= truth <= interval.high
    return hits / repetitions


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_deviation", [0.02, 0.2])
def test_intervals_over_few_seeds_never_promise_too_much(seeds: int, seed_deviation: float) -> None:
    assert coverage(seeds, seed_deviation) >= 0.93


@pytest.mark.parametrize("seed_deviation", [0.0, 0.02, 0.2])
def test_intervals_over_five_seeds_cover_as_promised(seed_deviation: float) -> None:
    """Neither too little nor too much: what a seed makes of an image counts once, with the seeds."""
    assert 0.93 <= coverage(5, seed_deviation) <= 0.975


def test_the_images_share_is_what_all_seeds_have_in_common() -> None:
    random = np.random.default_rng(0)
    common, own = random.normal(0, 1.0, 4000), random.normal(0, 2.0, (4, 4000))
    pulls = common + own
    assert images_share(pulls - pulls.mean(axis=1, keepdims=True)) == pytest.approx(0.5, abs=0.05)  # 1 / (1 + 4 / 4)
    assert images_share(np.tile(common, (3, 1))) == pytest.approx(1)
    assert images_share(own) == pytest.approx(0, abs=0.08)
    assert images_share(common[None]) == 1
    assert images_share(np.zeros((3, 5))) == 0


def test_leaving_seeds_out_of_account_would_promise_too_much() -> None:
    """The same experiments, seen as one long list of questions: the check above can fail."""
    random = np.random.default_rng(21)
    hits = 0
    for repetition in range(100):
        differences = 0.05 + random.normal(0, 0.2, 3)[:, None] + random.normal(0, 0.5, (3, 240))
        interval = bootstrap_difference(differences.mean(axis=0), np.zeros(240), resamples=400, seed=repetition)
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 0.05 <= interval.high
    assert hits < 50


def test_seeds_that_agree_add_nothing() -> None:
    differences = np.random.default_rng(0).normal(0.1, 0.3, 90)
    single = bootstrap_difference(differences, np.zeros(90))
    triple = bootstrap_difference(np.stack([differences] * 3), np.zeros((3, 90)))
    assert (triple.value, triple.low) == (pytest.approx(single.value), pytest.approx(single.low))


def test_the_seeds_part_is_students_interval() -> None:
    """With one image-free source of chance left, the interval is mean +- t s / sqrt(S)."""
    differences = np.array([0.1, 0.2, 0.6])[:, None] * np.ones(50)
    interval = bootstrap_difference(differences, np.zeros((3, 50)), resamples=200_000)
    half = 4.3027 * np.std([0.1, 0.2, 0.6], ddof=1) / 3**0.5
    assert interval.low == pytest.approx(0.3 - half, rel=0.05)
    assert interval.high == pytest.approx(0.3 + half, rel=0.05)
    assert seed_variance(np.array([0.1, 0.2, 0.6])) ** 0.5 * 1.959964 == pytest.approx(half, rel=1e-4)
    assert seed_variance(np.array([0.4])) == 0
