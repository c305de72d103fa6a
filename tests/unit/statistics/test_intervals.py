from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import CobraError
from cobra_kit.statistics import bootstrap_difference, bootstrap_mean, mean_score


def naive_percentiles(values: list[float], clusters: list[int], groups: list[int], draws: int) -> tuple[float, float]:
    """The definition, with loops and another generator."""
    random = np.random.RandomState(5)
    members: dict[int, list[int]] = {}
    for index, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(index)
    names = list(members)
    statistics = []
    for _ in range(draws):
        chosen = [index for _ in names for index in members[names[random.randint(len(names))]]]
        means = []
        for group in set(groups):
            part = [values[index] for index in chosen if groups[index] == group]
            if part:
                means.append(sum(part) / len(part))
        statistics.append(sum(means) / len(means))
    low, high = np.percentile(statistics, [2.5, 97.5])
    return float(low), float(high)


@pytest.mark.parametrize("groups", [1, 3])
def test_the_interval_agrees_with_a_naive_implementation(groups: int) -> None:
    random = np.random.default_rng(3)
    clusters = random.integers(0, 40, 150).tolist()
    group_of = random.integers(0, groups, 150).tolist()
    values = (random.normal(0.1, 0.3, 150) + 0.2 * np.array(group_of)).tolist()
    low, high = naive_percentiles(values, clusters, group_of, draws=4000)
    interval = bootstrap_mean(values, clusters, group_of)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))
    expected = np.mean([np.mean([v for v, g in zip(values, group_of, strict=True) if g == k]) for k in range(groups)])
    assert interval.value == pytest.approx(float(expected))
    assert mean_score(values, group_of).tolist() == pytest.approx([float(expected)])


def coverage(repetitions: int, images: int, per_image: int) -> float:
    """Share of simulated experiments whose 95 % interval holds the true difference of two arms."""
    random = np.random.default_rng(11)
    clusters = np.repeat(np.arange(images), per_image)
    hits = 0
    for repetition in range(repetitions):
        ease = random.normal(0.5, 0.5, images)[clusters]
        change = random.normal(0.3, 0.8, images)[clusters]  # differs by image: the clusters matter
        noise = random.normal(0, 0.5, (2, clusters.size))
        interval = bootstrap_difference(
            ease + change + noise[0], ease + noise[1], clusters, resamples=1500, seed=repetition
        )
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 0.3 <= interval.high
    return hits / repetitions


def test_95_percent_intervals_hold_the_truth_in_95_percent_of_experiments() -> None:
    assert 0.93 <= coverage(400, images=120, per_image=4) <= 0.97


def test_ignoring_images_makes_intervals_too_narrow() -> None:
    random = np.random.default_rng(0)
    scores = np.repeat(random.random(100), 5)
    clustered = bootstrap_mean(scores, np.repeat(np.arange(100), 5))
    ignored = bootstrap_mean(scores)
    assert clustered.low is not None
    assert ignored.low is not None
    assert clustered.value - clustered.low > 1.8 * (ignored.value - ignored.low)


scores = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=25)


@given(scores, st.randoms(use_true_random=False))
def test_properties_of_the_paired_difference(values: list[float], random: object) -> None:
    clusters = [index // 2 for index in range(len(values))]
    other = list(reversed(values))
    interval = bootstrap_difference(values, other, clusters, resamples=200)
    mirrored = bootstrap_difference(other, values, clusters, resamples=200)
    assert interval.value == pytest.approx(np.mean(values) - np.mean(other), abs=1e-12)
    assert mirrored.value == -interval.value
    if len(set(clusters)) == 1:
        assert (interval.low, interval.high, interval.excludes_zero) == (None, None, False)
    else:
        assert interval.low is not None
        assert interval.high is not None
        assert mirrored.low is not None
        assert -1 <= interval.low <= interval.high <= 1
        assert mirrored.low == pytest.approx(-interval.high, abs=1e-9)


def test_equal_input_and_seed_give_equal_output_and_another_seed_another() -> None:
    values = np.random.default_rng(0).random(60)
    assert bootstrap_mean(values, seed=4) == bootstrap_mean(values, seed=4)
    assert bootstrap_mean(values, seed=4) != bootstrap_mean(values, seed=5)


def test_names_of_images_and_the_order_of_questions_do_not_matter() -> None:
    values = np.random.default_rng(0).random(60)
    images = np.repeat([f"picture {index:02}" for index in range(20)], 3)
    order = np.random.default_rng(1).permutation(60)
    plain, shuffled = bootstrap_mean(values, images), bootstrap_mean(values[order], images[order])
    assert shuffled.value == pytest.approx(plain.value)
    assert shuffled.low == pytest.approx(plain.low)


def test_many_images_are_resampled_in_blocks_with_the_same_result_form() -> None:
    values = np.random.default_rng(0).random(30_000)
    interval = bootstrap_mean(values, resamples=300)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 30_000**0.5, rel=0.2)


def test_arms_that_answer_alike_tie_at_exactly_zero() -> None:
    values = [0.1, 0.7, 0.3, 0.9] * 5
    interval = bootstrap_difference(values, values)
    assert (interval.value, interval.low, interval.high, interval.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert not interval.excludes_zero


def test_a_difference_that_never_varies_has_an_interval_without_width() -> None:
    interval = bootstrap_difference([1.0] * 8, [0.0] * 8)
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)
    assert interval.excludes_zero
    assert interval.p_value == pytest.approx(2 / 10_001)


def test_p_and_interval_agree() -> None:
    random = np.random.default_rng(2)
    for shift in (0.0, 0.05, 0.1, 0.2):
        interval = bootstrap_difference(random.normal(shift, 0.4, 80), np.zeros(80))
        assert interval.p_value is not None
        assert interval.excludes_zero == (interval.p_value < 0.05)


def test_a_resample_may_miss_a_small_group() -> None:
    interval = bootstrap_mean([1.0, 0.0, 0.0, 0.0], groups=["a", "b", "b", "b"], resamples=500)
    assert interval.value == 0.5
    assert interval.low == 0.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: bootstrap_mean([]), "no questions: a mean over nothing is not defined"),
        (lambda: bootstrap_difference([], []), "no questions"),
        (lambda: bootstrap_difference([1.0], [1.0, 0.0]), r"equal shapes, got \(1,\) and \(2,\)"),
        (lambda: bootstrap_mean([1.0, 0.0], clusters=[1]), r"clusters needs one label per question, 2"),
        (lambda: bootstrap_mean([1.0, float("nan")]), "not a finite number"),
        (lambda: bootstrap_mean([1.0, 0.0], level=95), "level must lie between 0 and 1, got 95"),
        (lambda: bootstrap_mean([1.0, 0.0], resamples=0), "resamples must be at least 1"),
    ],
)
def test_bad_input_says_what_is_wrong(call: object, text: str) -> None:
    assert callable(call)
    with pytest.raises(CobraError, match=text):
        call()
