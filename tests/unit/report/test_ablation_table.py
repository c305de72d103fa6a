from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cobra_kit.errors import CobraError
from cobra_kit.report import (
    AblationTable,
    ArmResult,
    BenchmarkInfo,
    PaperReference,
    ScoreDifference,
    build_table,
    table_from_json,
    table_to_json,
)
from cobra_kit.statistics import QuestionScore, bootstrap_difference, holm

PRESENCE = BenchmarkInfo(name="presence", rule="pope/text", floor=0.5, ceiling=1.0, mean_of_groups=True)
READING = BenchmarkInfo(name="reading", rule="textvqa/m4c", floor=0.3)


def questions(values: Sequence[float], groups: Sequence[str] = ("",)) -> list[QuestionScore]:
    return [
        QuestionScore(f"q{index}", f"p{index // 2}", value, "x", "y", groups[index % len(groups)])
        for index, value in enumerate(values)
    ]


def right_or_wrong(share: float, seed: int, count: int = 120) -> list[float]:
    return (np.random.default_rng(seed).random(count) < share).astype(float).tolist()


def build(arms: Sequence[ArmResult], *benchmarks: BenchmarkInfo, paper: PaperReference | None = None) -> AblationTable:
    return build_table(
        arms,
        benchmarks,
        reference="mlp",
        factor="model.projector",
        profile="laptop",
        paper=paper,
        resamples=2000,
    )


def arm(name: str, share: float, seeds: Sequence[int] = (7,)) -> ArmResult:
    start = len(name)
    return ArmResult(
        name=name,
        scores={
            "presence": {s: questions(right_or_wrong(share, start + s), ("a", "b", "c")) for s in seeds},
            "reading": {s: questions(right_or_wrong(share / 3, start + s)) for s in seeds},
        },
    )


def test_the_table_holds_what_the_statistics_give() -> None:
    seeds = (7, 8, 9)
    first, second = arm("mlp", 0.9, seeds), arm("ldpv2", 0.7, seeds)
    table = build([second, first], PRESENCE, READING)
    assert table.arms == ("mlp", "ldpv2")  # the reference first
    assert table.title == "Projector ablation, laptop profile, test split, 3 seeds"
    row = table.rows[0]
    assert (row.label, row.questions, row.images, row.floor, row.ceiling) == ("POPE", 120, 60, 50, 100)

    a, b = (
        np.array([[score.score for score in which.scores["presence"][seed]] for seed in seeds])
        for which in (second, first)
    )
    expected = bootstrap_difference(a, b, np.arange(120) // 2, np.arange(120) % 3, resamples=2000)
    difference = row.differences["ldpv2"]
    assert set(row.differences) == {"ldpv2"}
    assert difference.value == pytest.approx(100 * expected.value)
    assert difference.low == pytest.approx(100 * (expected.low or 0))
    assert difference.verdict == "lower"
    assert row.scores["mlp"].value == pytest.approx(100 * b.mean())
    p_values = [row.differences["ldpv2"].p_value or 0 for row in table.rows]
    assert [row.differences["ldpv2"].p_holm for row in table.rows] == pytest.approx(holm(p_values))


def test_groups_of_unequal_size_weigh_alike_where_the_rule_says_so() -> None:
    scores = [
        QuestionScore("1", "p", 1.0, "", "", "popular"),
        QuestionScore("2", "p", 1.0, "", "", "popular"),
        QuestionScore("3", "q", 0.0, "", "", "random"),
    ]
    mlp = ArmResult(name="mlp", scores={"presence": {7: scores}})
    assert build([mlp], PRESENCE).rows[0].scores["mlp"].value == pytest.approx(50)
    plain = replace(PRESENCE, mean_of_groups=False)
    assert build([mlp], plain).rows[0].scores["mlp"].value == pytest.approx(200 / 3)


def test_the_parts_of_a_benchmark_stand_beside_it_with_their_own_floors() -> None:
    scores = [
        *(QuestionScore(f"1/{n}", f"p{n}", 1.0, "", "", "spatial/1") for n in range(30)),
        *(QuestionScore(f"2/{n}", f"p{n}", float(n % 2), "", "", "spatial/2") for n in range(20)),
    ]
    bounds = BenchmarkInfo(name="spatial", rule="vsr/first-token", floor=0.8, group_floors={"spatial/2": 0.5})
    (row,) = build([ArmResult(name="mlp", scores={"spatial": {7: scores[::-1]}})], bounds).rows
    assert [(part.name, part.questions, part.floor) for part in row.parts] == [
        ("spatial/1", 30, None),
        ("spatial/2", 20, 50),
    ]
    assert [part.scores["mlp"].value for part in row.parts] == pytest.approx([100, 50])
    assert [part.at_floor for part in row.parts] == [False, True]
    assert build([arm("mlp", 0.5)], READING).rows[0].parts == ()


def test_arms_that_answer_alike_tie() -> None:
    same = arm("mlp", 0.8, (7, 8, 9))
    table = build([same, replace(same, name="ldpv2")], PRESENCE)
    difference = table.rows[0].differences["ldpv2"]
    assert (difference.value, difference.low, difference.high, difference.verdict) == (0, 0, 0, "tie")
    assert difference.detectable is None


def test_one_image_has_no_interval_and_no_verdict() -> None:
    right = [QuestionScore("q", "p", 1.0, "", "")]
    zero = [QuestionScore("q", "p", 0.0, "", "")]
    arms = [
        ArmResult(name=name, scores={"reading": dict.fromkeys((7, 8, 9), s)})
        for name, s in (("mlp", right), ("ldpv2", zero))
    ]
    difference = build(arms, READING).rows[0].differences["ldpv2"]
    assert (difference.value, difference.low, difference.verdict, difference.p_holm) == (-100, None, "unknown", None)


def test_several_seeds_give_a_spread_and_a_wider_interval() -> None:
    single, triple = (
        build([arm("mlp", 0.9, seeds), arm("ldpv2", 0.7, seeds)], PRESENCE) for seeds in ((7,), (7, 8, 9))
    )
    assert single.rows[0].scores["mlp"].seed_deviation is None
    spread = triple.rows[0].scores["mlp"]
    means = [np.mean(right_or_wrong(0.9, 3 + seed)) for seed in (7, 8, 9)]
    assert spread.value == pytest.approx(100 * np.mean(means))
    assert spread.seed_deviation == pytest.approx(100 * np.std(means, ddof=1))


def test_only_seeds_that_all_arms_have_are_used_and_the_others_named() -> None:
    table = build([arm("mlp", 0.9, (7, 8)), arm("ldpv2", 0.7, (7,))], PRESENCE)
    assert table.seeds == (7,)
    assert table.notes == (
        "seed 8 left out: no finished run of ldpv2. Every score and every comparison rests on seed 7 of each arm",
    )


def test_a_benchmark_that_an_arm_lacks_has_no_entry_and_one_that_all_lack_is_named() -> None:
    full, part = arm("mlp", 0.9), arm("ldpv2", 0.7)
    part = replace(part, scores={"presence": part.scores["presence"]})
    table = build([full, part], PRESENCE, READING, BenchmarkInfo(name="boxes", rule="refcoco/cobra"))
    assert [set(row.scores) for row in table.rows] == [{"mlp", "ldpv2"}, {"mlp"}]
    assert table.rows[1].differences == {}
    assert table.notes == ("reading of ldpv2 is not in the table: seed 7 not scored", "not scored yet: boxes")


def test_the_control_is_right_minus_wrong_images() -> None:
    mlp = replace(arm("mlp", 0.9), control={"presence": {7: questions(right_or_wrong(0.5, 99), ("a", "b", "c"))}})
    row = build([mlp], PRESENCE, READING).rows[0]
    assert row.controls["mlp"].value == pytest.approx(
        100 * (np.mean(right_or_wrong(0.9, 10)) - np.mean(right_or_wrong(0.5, 99)))
    )
    assert (row.controls["mlp"].low or 0) > 0
    assert row.controls["mlp"].verdict == "unjudged"


@pytest.mark.parametrize("seeds", [(7,), (7, 8)])
def test_one_or_two_training_runs_are_not_judged(seeds: tuple[int, ...]) -> None:
    table = build([arm("mlp", 0.9, seeds), arm("ldpv2", 0.2, seeds)], PRESENCE, READING)
    for row in table.rows:
        change = row.differences["ldpv2"]
        assert change.value < -20
        assert (change.low, change.high, change.p_value, change.p_holm, change.detectable) == (None,) * 5
        assert change.verdict == "unjudged"


def test_a_star_stands_after_holm_and_what_does_not_is_unclear() -> None:
    change = ScoreDifference(2.0, 0.1, 3.9, 0.04, 0.04, 2.7, 3)
    assert change.verdict == "higher"
    assert replace(change, p_holm=0.06).verdict == "unclear"
    assert replace(change, low=-0.1, p_holm=0.06).verdict == "tie"
    assert replace(change, low=-3.9, high=-0.1).verdict == "lower"
    assert replace(change, seeds=2).verdict == "unjudged"


def test_at_the_floor_means_that_no_arm_is_surely_above_it() -> None:
    table = build([arm("mlp", 0.9), arm("ldpv2", 0.9)], PRESENCE, READING)
    assert [row.at_floor for row in table.rows] == [False, True]


def test_the_papers_rows_stand_beside_the_same_arms() -> None:
    paper = PaperReference(table="v4_table5_ablation", rows={"mlp": "full", "ldpv2": "w/ LDPv2"})
    note = build([arm("mlp", 0.9), arm("ldpv2", 0.7)], READING, PRESENCE, paper=paper).paper
    assert note is not None
    assert note.columns == ("textvqa", "pope")
    assert note.differences == {"ldpv2": {"textvqa": -3.5, "pope": -0.7}}
    assert note.scores["mlp"] == {"textvqa": 58.2, "pope": 88.4}


@pytest.mark.parametrize(
    ("arms", "text"),
    [
        ([], "no arm named 'mlp' to compare with\n.*the arms are none"),
        ([arm("linear", 0.5)], "no arm named 'mlp' to compare with\n.*the arms are linear"),
        ([arm("mlp", 0.5), arm("mlp", 0.6)], "two arms have the same name: mlp, mlp"),
        (
            [arm("mlp", 0.5, (7,)), arm("ldpv2", 0.6, (8,))],
            r"the arms share no finished seed \(mlp: \[7\]; ldpv2: \[8\]\)",
        ),
    ],
)
def test_arms_that_make_no_table(arms: list[ArmResult], text: str) -> None:
    with pytest.raises(CobraError, match=text):
        build(arms, PRESENCE)


def test_arms_that_answered_different_questions_are_refused() -> None:
    other = ArmResult(name="ldpv2", scores={"reading": {7: questions([1.0] * 4)}})
    with pytest.raises(CobraError, match="reading of mlp, seed 7 and reading of ldpv2, seed 7 did not"):
        build([arm("mlp", 0.5), other], READING)


def test_a_recipe_that_names_no_paper_row_for_the_reference_is_told() -> None:
    paper = PaperReference(table="v4_table5_ablation", rows={"ldpv2": "w/ LDPv2"})
    with pytest.raises(CobraError, match=r"ablation\.paper\.rows: the recipe names no row .* arm 'mlp'"):
        build([arm("mlp", 0.5), arm("ldpv2", 0.5)], READING, paper=paper)


def test_json_gives_the_same_table_back() -> None:
    paper = PaperReference(table="v4_table5_ablation", rows={"mlp": "full", "ldpv2": "w/ LDPv2"})
    table = build([arm("mlp", 0.9, (7, 8)), arm("ldpv2", 0.7, (7, 8))], PRESENCE, READING, paper=paper)
    text = table_to_json(table)
    assert table_from_json(text) == table
    assert json.loads(text)["rows"][0]["differences"]["ldpv2"].keys() >= {"value", "low", "high", "p_holm"}


@pytest.mark.parametrize(("seeds", "verdict"), [((7,), "unjudged"), ((7, 8, 9), "higher")])
def test_a_table_of_an_older_version_opens_and_says_so(seeds: tuple[int, ...], verdict: str) -> None:
    table = build([arm("mlp", 0.2, seeds), arm("ldpv2", 0.9, seeds)], PRESENCE)
    body = json.loads(table_to_json(table))
    change = body["rows"][0]["differences"]["ldpv2"]
    del change["seeds"], change["level"]
    change |= {"low": 30.0, "high": 90.0, "p_value": 0.001, "p_holm": 0.001}
    older = table_from_json(json.dumps(body))
    assert older.rows[0].differences["ldpv2"].verdict == verdict
    assert (older.rows[0].differences["ldpv2"].low is None) == (len(seeds) < 3)
    assert "made by an older version" in older.notes[-1]
    assert "made by an older version" not in "".join(table_from_json(table_to_json(table)).notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "table.json: not JSON"),
        ("[]", "table.json: a table of form None, this version reads form 1"),
        ('{"form": 2}', "a table of form 2"),
        ('{"form": 1, "factor": "x"}', "table.json: damaged table: profile"),
    ],
)
def test_a_damaged_table_file_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(CobraError, match=message):
        table_from_json(text, where="table.json")
