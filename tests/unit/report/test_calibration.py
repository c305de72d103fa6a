"""Where the reference arm stands between floor and ceiling, and what of other arms goes into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.report import ArmResult, BenchmarkInfo, calibrate
from cobra_kit.report.calibration import ReferenceScore
from cobra_kit.statistics import QuestionScore, detectable_between_seeds, detectable_difference

PLACES = BenchmarkInfo(
    name="spatial", rule="vsr/text", floor=0.5, ceiling=1.0, group_floors={"spatial/1": 0.5, "spatial/2": 0.4}
)
PRESENCE = BenchmarkInfo(name="presence", rule="pope/text", floor=0.5, ceiling=1.0, mean_of_groups=True)


def answers(right: int, count: int, group: str = "", turn: int = 0) -> list[QuestionScore]:
    """Answers of which `right` are right, from the question `turn` on."""
    return [
        QuestionScore(f"{group}{i}", f"p{i}", float((i - turn) % count < right), "x", "y", group) for i in range(count)
    ]


def reference(*shares: int, name: str = "mlp", benchmark: str = "spatial") -> ArmResult:
    """An arm that has so many of 100 questions right, seed by seed from 1 on."""
    scores = {seed: answers(right, 100, turn=17 * seed) for seed, right in enumerate(shares, start=1)}
    return ArmResult(name=name, scores={benchmark: scores}, finished=frozenset(scores))


def only(*arms: ArmResult, benchmark: BenchmarkInfo = PLACES) -> ReferenceScore:
    (score,) = calibrate(arms, [benchmark], reference="mlp").benchmarks
    return score


def test_the_way_is_measured_from_floor_to_ceiling() -> None:
    score = only(reference(70, 75, 80))
    assert (score.questions, score.floor, score.ceiling) == (100, 50.0, 100.0)
    assert score.mean == pytest.approx(75)
    assert score.deviation == pytest.approx(5)
    assert score.way == pytest.approx(50)
    assert score.position == "inside"


@pytest.mark.parametrize(
    ("right", "position"), [(59, "below"), (60, "inside"), (95, "inside"), (96, "above"), (40, "below"), (100, "above")]
)
def test_a_benchmark_lies_inside_from_20_to_90_per_cent(right: int, position: str) -> None:
    calibration = calibrate([reference(right, right, right)], [PLACES], reference="mlp")
    assert calibration.benchmarks[0].position == position
    assert calibration.holds == (position == "inside")
    assert [score.name for score in calibration.outside] == ([] if position == "inside" else ["spatial"])


@pytest.mark.parametrize(
    ("floor", "ceiling"), [(None, 1.0), (0.5, None), (None, None), (0.5, 0.5), (0.9, 0.8), (1.0, 1.0)]
)
def test_without_a_floor_below_a_ceiling_nothing_is_known(floor: float | None, ceiling: float | None) -> None:
    calibration = calibrate([reference(75, 75, 76)], [replace(PLACES, floor=floor, ceiling=ceiling)], reference="mlp")
    (score,) = calibration.benchmarks
    assert (score.way, score.position) == (None, "unknown")
    assert not calibration.holds
    assert calibration.outside == (score,)


def test_three_seeds_are_needed() -> None:
    for shares, enough in (((75,), False), ((75, 76), False), ((75, 76, 77), True)):
        calibration = calibrate([reference(*shares)], [PLACES], reference="mlp")
        assert (calibration.enough_seeds, calibration.holds) == (enough, enough)
        assert (calibration.benchmarks[0].detectable is not None) == enough
    assert only(reference(75)).deviation is None


def test_groups_have_floors_of_their_own_and_their_benchmarks_ceiling() -> None:
    runs = {
        seed: [*answers(90, 100, "spatial/1"), *answers(50 + seed, 100, "spatial/2"), *answers(1, 2, "spatial/3")]
        for seed in (1, 2, 3)
    }
    score = only(ArmResult(name="mlp", scores={"spatial": runs}, finished=frozenset(runs)))
    first, second, third = score.groups
    assert [group.name for group in score.groups] == ["spatial/1", "spatial/2", "spatial/3"]
    assert (first.questions, first.way, first.deviation, first.detectable) == (100, pytest.approx(80), 0, None)
    assert (second.mean, second.deviation) == (pytest.approx(52), pytest.approx(1))
    assert (second.floor, second.ceiling, second.way) == (40.0, 100.0, pytest.approx(20))
    assert (third.floor, third.position) == (None, "unknown")


def test_a_mean_of_groups_is_one() -> None:
    runs = {seed: [*answers(10, 10, "random"), *answers(0, 90, "popular")] for seed in (1, 2, 3)}
    score = only(ArmResult(name="mlp", scores={"presence": runs}, finished=frozenset(runs)), benchmark=PRESENCE)
    assert score.mean == pytest.approx(50)
    assert score.questions == 100


def test_the_smallest_difference_is_that_of_the_paired_spread() -> None:
    mlp, other = reference(70, 75, 80), reference(50, 52, 51, name="ldpv2")
    values = [
        [b.score - a.score for a, b in zip(mlp.scores["spatial"][s], other.scores["spatial"][s], strict=True)]
        for s in (1, 2, 3)
    ]
    calibration = calibrate([other, mlp], [PLACES], reference="mlp")
    expected = detectable_difference(values)
    assert expected is not None
    assert calibration.paired
    assert calibration.benchmarks[0].detectable == pytest.approx(100 * expected)


def test_of_several_arms_the_widest_spread_counts() -> None:
    mlp, near, far = reference(70, 75, 80), reference(71, 79, 78, name="near"), reference(20, 90, 50, name="far")
    alone = only(mlp, near).detectable
    both = only(mlp, near, far).detectable
    assert alone is not None
    assert both == only(mlp, far).detectable
    assert both > alone


def test_other_arms_move_nothing_but_the_smallest_difference() -> None:
    mlp = reference(70, 75, 80)
    plain, better = only(mlp), only(mlp, reference(97, 98, 99, name="ldpv2"))
    assert replace(better, detectable=None) == replace(plain, detectable=None)
    # An arm that is better by the same number everywhere scatters as much, and so says the same.
    scores = {s: [replace(q, score=q.score / 2) for q in answers(70 + s, 100)] for s in (1, 2, 3)}
    shifted = {s: [replace(q, score=q.score + 0.5) for q in questions] for s, questions in scores.items()}
    low, high = (ArmResult(name="ldpv2", scores={"spatial": s}, finished=frozenset(s)) for s in (scores, shifted))
    assert only(mlp, low).detectable == pytest.approx(only(mlp, high).detectable)


def test_a_reference_alone_takes_others_to_scatter_alike() -> None:
    expected = detectable_between_seeds([0.70, 0.75, 0.80])
    assert expected is not None
    for arms in ([reference(70, 75, 80)], [reference(70, 75, 80), reference(60, 65, name="two seeds")]):
        calibration = calibrate(arms, [PLACES], reference="mlp")
        assert not calibration.paired
        assert calibration.benchmarks[0].detectable == pytest.approx(100 * expected)


def test_all_seeds_of_the_reference_count_whatever_others_have() -> None:
    calibration = calibrate([reference(70, 75, 80, 85), reference(1, 2, 3, name="ldpv2")], [PLACES], reference="mlp")
    assert calibration.seeds == (1, 2, 3, 4)
    assert calibration.benchmarks[0].mean == pytest.approx(77.5)
    assert calibration.paired


def test_a_benchmark_that_a_run_lacks_is_named() -> None:
    calibration = calibrate([reference(70, 75, 80)], [PLACES, PRESENCE], reference="mlp")
    assert [score.name for score in calibration.benchmarks] == ["spatial"]
    assert calibration.not_scored == ("presence",)
    assert not calibration.holds


@pytest.mark.parametrize(
    ("arms", "benchmarks", "text"),
    [
        ([ArmResult(name="mlp", scores={}), reference(7, name="ldpv2")], [PLACES], "'mlp' has no finished run"),
        ([replace(reference(7, 7, 7), scores={})], [], "there were no benchmarks to ask"),
    ],
)
def test_nothing_to_calibrate(arms: Sequence[ArmResult], benchmarks: Sequence[BenchmarkInfo], text: str) -> None:
    with pytest.raises(CobraError, match=text):
        calibrate(arms, benchmarks, reference="mlp")


def test_runs_that_answered_different_questions_are_named() -> None:
    mlp = reference(70, 75, 80)
    runs = {**mlp.scores["spatial"], 3: answers(50, 99)}
    with pytest.raises(CobraError, match="spatial of mlp, seed 1 and spatial of mlp, seed 3 did not answer the same"):
        only(replace(mlp, scores={"spatial": runs}))
