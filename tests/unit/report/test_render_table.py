from __future__ import annotations

import re
from dataclasses import replace

import pytest
from synthetic_report import paper_note

from cobra_kit.report import (
    AblationTable,
    ArmCost,
    Estimate,
    RunMachine,
    ScoreDifference,
    TablePart,
    TableRow,
    grid,
    render_csv,
    render_latex,
    render_markdown,
    render_text,
    styled_text,
)


def change(value: float, low: float | None, high: float | None, holm: float = 0.01, seeds: int = 3) -> ScoreDifference:
    return ScoreDifference(value, low, high, 0.01, holm, 2.14, seeds)


def row(name: str, label: str, differences: dict[str, ScoreDifference], arms: tuple[str, ...]) -> TableRow:
    scores = {arm: Estimate(88.12, 87.0, 89.0, None) for arm in arms}
    return TableRow(name, label, "rule/one", 600, 150, 50.0, 100.0, scores, differences, {})


def table(*others: str) -> AblationTable:
    arms = ("mlp", *others)
    rows = (
        row("presence", "POPE", {arm: change(-1.1, -2.4, 0.2, 0.6) for arm in others}, arms),
        row("reading", "TextVQA", {arm: change(-8.3, -10.4, -6.4) for arm in others}, arms),
    )
    costs = {arm: ArmCost(64, 1_210_000, 171.4, 4210.0) for arm in arms}
    return AblationTable(
        "model.projector",
        "laptop",
        "test",
        "mlp",
        arms,
        (7, 8, 9),
        0.95,
        rows,
        costs,
        paper_note(arms) if others else None,
        (),
        machines=(RunMachine("AMD EPYC 7R13", 256, 1, "2.14.1", runs=6),),
    )


TWO_ARMS = """\
Projector ablation, laptop profile, test split, 3 seeds
                    mlp (ref)   ldpv2   difference [95 %]       floor  ceiling
presence (POPE)          88.1    88.1  -1.1 [-2.4, +0.2]   tie   50.0    100.0
reading  (TextVQA)       88.1    88.1  -8.3 [-10.4, -6.4]  *     50.0    100.0
image tokens               64      64
parameters trained     1.21 M  1.21 M
training time            2:51    2:51
tokens/s                 4.2k    4.2k

* the 95 % interval excludes 0, after Holm's correction for 2 comparisons, too
(?: not after it); tie: it holds 0. Paired bootstrap, clustered by picture,
Student's t over 3 seeds; ± is the standard deviation over seeds.
Smallest difference this design can see (80 % power): 2.1 points.
Runs were made on: AMD EPYC 7R13, 256-bit vectors, 1 thread per run, torch
2.14.1. Results of training differ between processors from the first steps on:
verdicts rest on the spread over seeds instead.

The paper, same factor (Cobra-3.5B, Table 5): POPE -0.7, TextVQA 0.0"""


def test_two_arms_at_80_columns() -> None:
    assert render_text(table("ldpv2"), 80) == TWO_ARMS


def test_three_arms_stand_side_by_side_where_there_is_room_and_below_each_other_where_not() -> None:
    three = table("ldpv2", "linear")
    wide, narrow = render_text(three, 140), render_text(three, 80)
    assert "ldpv2 - ref [95 %]" in wide
    assert "linear - ref [95 %]" in wide
    assert "presence (POPE): floor 50.0, ceiling 100.0" in narrow
    block = narrow[narrow.index("reading") :].splitlines()
    assert block[1].split() == ["mlp", "(ref)", "88.1"]
    assert block[2].split() == ["ldpv2", "88.1", "-8.3", "[-10.4,", "-6.4]", "*"]
    assert "  linear: POPE -0.7, TextVQA 0.0" in narrow


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("name", ["b", "openclip", "an-arm-with-a-name-that-nobody-would-want-to-type"])
def test_no_line_is_wider_than_the_terminal(width: int, count: int, name: str) -> None:
    whole = table(*(f"{index}{name}" for index in range(count)))
    controls = {arm: change(30.12, 25.34, 35.56) for arm in whole.arms}
    scores = {arm: Estimate(88.12, 87.0, 89.0, 1.23) for arm in whole.arms}
    whole = replace(
        whole, rows=tuple(replace(row, controls=controls, scores=scores) for row in whole.rows), seeds=(7, 8)
    )
    lines = render_text(whole, width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_styles_change_no_letter() -> None:
    for whole in (table(), table("ldpv2"), table("ldpv2", "linear")):
        styled = styled_text(whole, 80)
        assert styled.plain == render_text(whole, 80)
        assert any(span.style == "bold" for span in styled.spans)
    assert any(span.style == "red" for span in styled_text(table("ldpv2"), 80).spans)


def test_the_table_says_what_does_not_survive_holm_and_what_is_at_the_floor() -> None:
    whole = table("ldpv2")
    weak = replace(whole.rows[1], differences={"ldpv2": change(-8.3, -10.4, -6.4, holm=0.2)}, floor=88.0)
    text = render_text(replace(whole, rows=(whole.rows[0], weak), notes=("not scored yet: boxes",)), 140)
    assert re.search(r"reading +\(TextVQA\) .* -8.3 \[-10.4, -6.4\]  \? ", text)
    assert "after Holm's correction for 2 comparisons, too (?: not after it)" in text
    assert "No arm is above the floor on reading: differences there say nothing." in text
    assert "Not scored yet: boxes." in text


def with_parts(*others: str) -> AblationTable:
    whole = table(*others)
    scores = {arm: Estimate(90.0 - 30 * place, 80.0 - 30 * place, 95.0, None) for place, arm in enumerate(whole.arms)}
    parts = (
        TablePart("spatial/1", 250, 50.1, scores),
        TablePart("adversarial", 1_450, 94.0, scores),
    )
    rows = (whole.rows[0], replace(whole.rows[1], floor=88.0, parts=parts))
    return replace(whole, rows=rows)


def test_parts_have_lines_of_their_own_at_any_width() -> None:
    wide, narrow = (render_text(with_parts("ldpv2"), width) for width in (80, 40))
    assert (
        "by part (level 1 is the easiest)  mlp (ref)  ldpv2  floor  questions\n"
        "spatial 1                              90.0   60.0   50.1        250\n"
        "reading, adversarial                   90.0   60.0   94.0      1,450\n"
    ) in wide
    assert "spatial 1: floor 50.1\n  mlp (ref)  90.0\n  ldpv2      60.0\n" in narrow
    assert "spatial 1 | 250 | 90.0 | 60.0 | 50.1" in render_markdown(with_parts("ldpv2"))


def test_a_benchmark_at_the_floor_names_its_parts_that_are_above_it() -> None:
    text = render_text(with_parts("ldpv2"), 200)
    assert "on reading: differences there say nothing. Parts that are above it: spatial 1." in text


def test_seeds_are_named_with_their_method() -> None:
    text = render_text(table("ldpv2"), 200)
    assert "clustered by picture, Student's t over 3 seeds; ± is the standard deviation over seeds." in " ".join(
        text.split()
    )
    assert "3 seeds" in text.splitlines()[0]


ONE_RUN = """\
Projector ablation, laptop profile, test split, 1 seed
                    mlp (ref)   ldpv2  difference (not judged)    floor  ceiling
presence (POPE)          88.1    88.1                     -1.1     50.0    100.0
reading  (TextVQA)       88.1    88.1                     -8.3     50.0    100.0
image tokens               64      64
parameters trained     1.21 M  1.21 M
training time            2:51    2:51
tokens/s                 4.2k    4.2k

One training run of each arm: not judged. Another seed can turn a difference
round, however many pictures there are; a verdict needs 3 seeds or more
(ablation.seeds).
Runs were made on: AMD EPYC 7R13, 256-bit vectors, 1 thread per run, torch
2.14.1. Results of training differ between processors from the first steps on:
verdicts rest on the spread over seeds instead.

The paper, same factor (Cobra-3.5B, Table 5): POPE -0.7, TextVQA 0.0"""


def test_one_training_run_is_described_and_not_judged() -> None:
    assert render_text(one_run(), 80) == ONE_RUN


def test_no_format_has_a_verdict_of_one_training_run() -> None:
    whole = one_run()
    controlled = replace(
        whole, rows=tuple(replace(row, controls={"mlp": change(30.0, 25.0, 35.0, seeds=1)}) for row in whole.rows)
    )
    for text in (render_text(controlled, 80), render_markdown(controlled), render_latex(controlled)):
        assert "*" not in text.replace("{*}", "*") or "^{*}" not in text
        assert not re.search(r"\btie\b|Holm|excludes 0", text)
    text = render_text(controlled, 80)
    assert "*" not in text
    assert "+30.0 [+25.0, +35.0]" in text
    assert "95 % intervals over pictures, of these very models." in " ".join(text.split())
    assert not any(span.style in ("red", "green") for span in styled_text(controlled, 80).spans)
    csv_text = render_csv(controlled)
    assert "unjudged" in csv_text
    assert not re.search(r"higher|lower|tie", csv_text)


def one_run() -> AblationTable:
    whole = table("ldpv2")
    rows = tuple(
        replace(
            row,
            differences={
                arm: ScoreDifference(change.value, None, None, None, None, None, 1)
                for arm, change in row.differences.items()
            },
        )
        for row in whole.rows
    )
    return replace(whole, rows=rows, seeds=(7,))


def test_what_nobody_measured_takes_no_room() -> None:
    whole = table("ldpv2")
    bare = replace(
        whole,
        rows=tuple(replace(row, floor=None, ceiling=None) for row in whole.rows),
        costs={arm: ArmCost(None, None, None, None) for arm in whole.arms},
        paper=None,
    )
    text = render_text(bare, 80)
    for word in ("floor", "ceiling", "tokens", "training time", "The paper"):
        assert word not in text
    assert "image tokens" not in render_markdown(bare)


def test_an_arm_without_a_score_and_a_difference_without_an_interval() -> None:
    whole = table("ldpv2")
    first, second = whole.rows
    half = replace(first, scores={"mlp": first.scores["mlp"]}, differences={})
    single = replace(second, differences={"ldpv2": change(-100.0, None, None)})
    lines = render_text(replace(whole, rows=(half, single)), 80).splitlines()
    assert lines[2].split() == ["presence", "(POPE)", "88.1", "-", "-", "50.0", "100.0"]
    assert "-100.0 [one picture]  ?" in lines[3]


def test_markdown_has_one_row_per_benchmark_and_escapes_its_marks() -> None:
    text = render_markdown(table("ldpv2"))
    assert "| presence (POPE) | `rule/one` | 600 | 150 | 88.1 | 88.1 | -1.1 [-2.4, +0.2] tie | 50.0 |" in text
    assert "-8.3 [-10.4, -6.4] \\* |" in text
    assert "| row of ldpv2 (ldpv2) | 88.4 (-0.7) | 58.2 (0.0) |" in text
    for block in text.split("\n\n"):
        pipes = {line.count(" |") for line in block.splitlines() if line.startswith("|")}
        assert len(pipes) <= 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (grid.signed(0.0), "0.0"),
        (grid.signed(0.02), "+0.0"),
        (grid.signed(-0.02), "-0.0"),
        (grid.points(-0.01), "0.0"),
        (grid.count(999), "999"),
        (grid.count(41_259), "41.26 k"),
        (grid.count(2_816_100_000), "2.82 B"),
        (grid.duration(59.6), "1:00"),
        (grid.duration(4171), "1:09:31"),
        (grid.rate(321.4), "321"),
        (grid.shorten("x" * 40), "x" * 13 + "…" + "x" * 13),
    ],
)
def test_how_numbers_are_written(written: str, expected: str) -> None:
    assert written == expected
