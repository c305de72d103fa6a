"""Steps to a level in the table: who sets the level, what is counted and told, and what has no verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from cobra_kit.report import (
    AblationTable,
    ArmResult,
    BenchmarkInfo,
    LearningTable,
    build_table,
    render_markdown,
    render_text,
    table_from_json,
    table_to_json,
)
from cobra_kit.statistics import QuestionScore

PRESENCE, READING = BenchmarkInfo(name="presence", rule="r", floor=0.5), BenchmarkInfo(name="reading", rule="r")
Runs = Mapping[int, Sequence[float]]


def arm(name: str, presence: Runs, reading: Runs | None = None, stage: str = "finetune") -> ArmResult:
    """An arm that was validated every 100 steps; all its questions are answered right."""
    curves: dict[int, dict[str, list[tuple[float, float]]]] = {}
    for benchmark, runs in {"presence": presence, "reading": reading or {}}.items():
        for seed, values in runs.items():
            points = [(100.0 * (index + 1), value) for index, value in enumerate(values)]
            curves.setdefault(seed, {})[benchmark] = points
            curves[seed]["mean"] = [(step, value / 2) for step, value in points]
    questions = [QuestionScore(f"q{index}", f"i{index}", 1.0, "x", "x", "") for index in range(4)]
    return ArmResult(
        name=name,
        scores={"presence": dict.fromkeys(presence, questions), "reading": dict.fromkeys(presence, questions)},
        validations={stage: curves},
    )


def build(*arms: ArmResult) -> AblationTable:
    return build_table(arms, [PRESENCE, READING], reference="mlp", factor="model.projector", profile="", resamples=100)


def learning(*arms: ArmResult) -> LearningTable:
    table = build(*arms).learning
    assert table is not None
    return table


REFERENCE = arm("mlp", {1: [0.5, 0.7, 0.9], 2: [0.5, 0.7, 0.9], 3: [0.52, 0.72, 0.9]})
SLOW = arm("ldpv2", {1: [0.4, 0.5, 0.9], 2: [0.4, 0.5, 0.9], 3: [0.4, 0.5, 0.88]})
STUCK = arm("ldpv2", {1: [0.4, 0.5, 0.9], 2: [0.4, 0.5, 0.6], 3: [0.4, 0.5, 0.9]})


def test_the_reference_alone_sets_the_level() -> None:
    levels = {row.benchmark: (row.level, row.floor, row.last) for row in learning(REFERENCE, SLOW).rows}
    assert levels["presence"] == pytest.approx((70.0, 50.0, 90.0))
    better = arm("ldpv2", {seed: [0.9, 0.95, 1.0] for seed in (1, 2, 3)})
    assert {row.benchmark: row.level for row in learning(REFERENCE, better).rows}["presence"] == pytest.approx(70.0)
    swapped = build_table([REFERENCE, better], [PRESENCE], reference="ldpv2", factor="f", profile="", resamples=10)
    assert swapped.learning is not None
    assert swapped.learning.rows[0].level == pytest.approx(75.0)


def test_steps_and_their_ratio() -> None:
    row = learning(REFERENCE, SLOW).rows[0]
    assert row.steps["mlp"].value == pytest.approx((200 * 200 * 190) ** (1 / 3))
    assert row.steps["ldpv2"].runs == 3
    change = row.ratios["ldpv2"]
    assert set(row.ratios) == {"ldpv2"}
    assert change.value == pytest.approx((1.25 * 1.25 * (200 + 100 * 0.2 / 0.38) / 190) ** (1 / 3))
    assert change.low is not None
    assert change.high is not None
    assert 1 < change.low < change.value < change.high


def test_a_run_that_never_reaches_the_level_is_counted_and_not_left_out() -> None:
    table = build(REFERENCE, STUCK)
    assert table.learning is not None
    row = table.learning.rows[0]
    assert (row.steps["ldpv2"].value, row.steps["ldpv2"].never, row.steps["ldpv2"].runs) == (None, 1, 3)
    change = row.ratios["ldpv2"]
    assert (change.value, change.low, change.high, change.bounded, change.seeds) == (None, None, None, 1, 3)
    text = " ".join(render_text(table, 80).split())
    assert "1 of 3 never" in text
    assert "Such a run bounds its step and does not tell it, so its row has no mean and no ratio" in text


def test_a_run_that_is_there_at_its_first_validation_is_told() -> None:
    quick = arm("ldpv2", {1: [0.9, 0.9, 0.9], 2: [0.5, 0.7, 0.9], 3: [0.9, 0.9, 0.9]})
    table = build(REFERENCE, quick)
    assert "2 of 3 early" in render_text(table, 80)
    assert table.learning is not None
    assert table.learning.rows[0].ratios["ldpv2"].bounded == 2


def test_two_seeds_have_a_ratio_and_no_interval() -> None:
    two = [replace(a, scores={k: {s: v[s] for s in (1, 2)} for k, v in a.scores.items()}) for a in (REFERENCE, SLOW)]
    table = build(*two)
    assert table.learning is not None
    change = table.learning.rows[0].ratios["ldpv2"]
    assert (change.value, change.low, change.high, change.seeds) == (pytest.approx(1.25), None, None, 2)
    text = render_text(table, 80)
    assert "ldpv2 / ref (not judged)" in text
    assert "Of fewer than 3 seeds ratios are not judged." in " ".join(text.split())


def test_a_reference_at_its_floor_sets_no_level() -> None:
    flat = arm("mlp", {1: [0.5, 0.48, 0.49], 2: [0.5, 0.5, 0.52], 3: [0.4, 0.5, 0.55]})
    table = build(flat, SLOW)
    assert table.learning == LearningTable(
        "finetune",
        (),
        ("no level is set for presence: mlp is not surely above the floor in its last validation",),
    )
    assert "No level is set for presence: mlp is not surely above the floor" in render_text(table, 80)


def test_one_validation_is_no_curve() -> None:
    once = {seed: [0.9] for seed in (1, 2, 3)}
    notes = learning(arm("mlp", once), arm("ldpv2", once)).notes
    assert notes == ("no curve of presence: mlp was validated fewer than 2 times (evaluate.validation.every_steps)",)


def test_a_seed_without_validations_is_told_and_the_others_are_paired() -> None:
    lacking = replace(SLOW, validations={"finetune": {seed: SLOW.validations["finetune"][seed] for seed in (1, 3)}})
    table = learning(REFERENCE, lacking)
    assert table.notes == ("ldpv2 has no whole log of validations in finetune of seed 2, which its steps leave out",)
    change = table.rows[0].ratios["ldpv2"]
    assert (change.seeds, change.low) == (2, None)  # of two pairs, though the table has three seeds


def test_an_arm_without_validations_is_told_and_the_others_keep_their_steps() -> None:
    other_stage = arm("ldpv2", {seed: [0.4, 0.9] for seed in (1, 2, 3)}, stage="align")
    for bare in (other_stage, replace(SLOW, validations={})):
        table = learning(REFERENCE, bare)
        lacking = "ldpv2 has no whole log of validations in finetune of seeds 1, 2, 3, which its steps leave out"
        assert table.notes == (lacking,)
        assert [(set(row.steps), row.ratios) for row in table.rows] == [({"mlp"}, {})]
    table = learning(replace(REFERENCE, validations={}), SLOW)
    assert table.rows == ()
    assert table.notes == (
        "mlp has no whole log of validations in finetune of seeds 1, 2, 3, which its steps leave out",
    )
    assert build(*(replace(which, validations={}) for which in (REFERENCE, SLOW))).learning is None


def test_the_mean_has_a_row_where_the_floors_of_all_benchmarks_are_known() -> None:
    reading = {seed: [0.1, 0.3, 0.6] for seed in (1, 2, 3)}
    presence = {seed: [0.5, 0.7, 0.9] for seed in (1, 2, 3)}
    both = [arm(name, presence, reading) for name in ("mlp", "ldpv2")]
    rows = learning(*both).rows
    assert [row.benchmark for row in rows] == ["mean", "presence", "reading"]
    assert rows[0].floor == pytest.approx(25.0)
    assert rows[2].ratios["ldpv2"].low == pytest.approx(1.0)
    alone = build_table(both, [PRESENCE], reference="mlp", factor="f", profile="", resamples=10).learning
    assert alone is not None
    assert [row.benchmark for row in alone.rows] == ["presence"]


def test_many_arms_stand_below_each_other() -> None:
    arms = [replace(SLOW, name=f"projector-number-{index}") for index in range(4)]
    text = render_text(build(REFERENCE, *arms), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "presence: level 70.0" in text
    assert text.count("1.28 [") == 4


def test_the_second_measure_has_no_star_and_no_place_in_markdown() -> None:
    table = build(REFERENCE, SLOW)
    lines = [line for line in render_text(table, 80).splitlines() if line.startswith("presence ")]
    assert any("[" in line for line in lines)
    assert not any("*" in line for line in lines)
    assert "to a level" not in render_markdown(table)


def test_json_keeps_the_steps_and_an_older_table_says_that_it_has_none() -> None:
    table = build(REFERENCE, STUCK)
    assert table_from_json(table_to_json(table)) == table
    plain = json.loads(table_to_json(table))
    assert plain["learning"]["rows"][0]["steps"]["ldpv2"]["never"] == 1
    del plain["learning"], plain["machines"]
    older = table_from_json(json.dumps(plain))
    assert older.learning is None
    assert older.notes[-1] == (
        "made by an older version: it tells no steps to a level and no machine that its runs were made on"
    )
    assert "Machine, threads and torch version of the runs: not recorded." in " ".join(render_text(older).split())
    assert table_from_json(table_to_json(older)) == older
