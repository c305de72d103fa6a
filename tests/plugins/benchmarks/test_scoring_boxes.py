from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring import Answered, QuestionScore, get_rule
from cobra_kit_benchmarks.refcoco.rule import Box, iou, parse_minigpt4_box, parse_unit_box

corner = st.integers(0, 12)
boxes = st.tuples(corner, corner, st.integers(1, 8), st.integers(1, 8)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


def ask(
    rule: str,
    prediction: str,
    box: Box | None = (100, 50, 200, 100),
    size: tuple[int, int] | None = (400, 200),
) -> QuestionScore:
    answered = Answered(question_id="1", image="p", prediction=prediction, box=box, image_size=size)
    return get_rule(rule).score([answered])[0]


@given(boxes, boxes)
def test_overlap_equals_counting_unit_squares(first: Box, second: Box) -> None:
    def squares(box: Box, extra: int) -> set[tuple[int, int]]:
        x1, y1, x2, y2 = map(int, box)
        return {(x, y) for x in range(x1, x2 + extra) for y in range(y1, y2 + extra)}

    for extra in (0, 1):
        a, b = squares(first, extra), squares(second, extra)
        assert iou(first, second, pixel=extra) == pytest.approx(len(a & b) / len(a | b))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the dog",
        "[0.1, 0.2, 0.3]",
        "[0.1, 0.2, 0.3, 0.4, 0.5]",
        "(0.1, 0.2, 0.3, 0.4)",  # a tuple is no list
        "[0.3, 0.2, 0.1, 0.4]",  # x1 > x2
        "[0.1, 0.2, 0.1, 0.4]",  # no width
        "[10, 20, 30, 40]",
        "[-0.1, 0.2, 0.3, 0.4]",
        "The box is [0.1, 0.2, 0.3, 0.4]",  # the whole answer must be the list
        "[0.1, 0.2, 0.3, 0.4].",
        "['0.1', 0.2, 0.3, 0.4]",
        "[0.1, 0.2, 0.3, 1j]",
        "[" * 5000,
        "[0.1, 0.2, 0.3, __import__('os')]",
        "1if 2else 3",
        "\x00",
    ],
)
def test_what_is_no_box_under_the_strict_rule(text: str) -> None:
    assert parse_unit_box(text) is None
    assert ask("refcoco/cobra", text).score == 0


@given(st.text(max_size=30))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for box in (parse_unit_box(text), parse_minigpt4_box(text)):
        assert box is None or len(box) == 4


def test_a_list_of_numbers_in_the_unit_square_is_a_box() -> None:
    assert parse_unit_box(" [0, 0.25, 1, .75]") == (0, 0.25, 1, 0.75)


def test_half_overlap_counts_under_cobras_rule() -> None:
    # The true box is [0.25, 0.25, 0.75, 0.75]; its left half overlaps it by exactly one half.
    assert ask("refcoco/cobra", "[0.25, 0.25, 0.5, 0.75]").score == 1
    assert ask("refcoco/cobra", "[0.25, 0.25, 0.49, 0.75]").score == 0


def test_the_true_box_is_rounded_to_two_decimals_under_cobras_rule() -> None:
    score = ask("refcoco/cobra", "[0, 0, 1, 1]", box=(1, 1, 99, 299), size=(300, 300))
    assert score.answer == "[0.00, 0.00, 0.33, 1.00]"


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("{<25><25><75><75>}", (0.25, 0.25, 0.75, 0.75)),
        ("{ <25> <25><75> <75>} and so on", (0.25, 0.25, 0.75, 0.75)),
        ("<unk>{<0><0><100><100>}", (0, 0, 1, 1)),
        ("a box {<25><25><75><75>}", None),  # must open the answer
        ("{<25><25><75><75>} 3", None),  # one number too many
        ("{<25><25><75>}", None),
        ("[0.25, 0.25, 0.75, 0.75]", None),
    ],
)
def test_boxes_as_minigpt4_writes_them(text: str, box: Box | None) -> None:
    assert parse_minigpt4_box(text) == box


def test_minigpt4s_rule_needs_more_than_half_and_counts_the_last_pixel() -> None:
    assert ask("refcoco/minigpt4", "{<25><25><75><75>}").score == 1
    # 101 of 201 columns: above one half only because of the pixel.
    assert ask("refcoco/minigpt4", "{<25><25><50><75>}").score == 1
    # 1 x 1 pixels against 2 x 1: (2 x 2) / (3 x 2) with the pixel, exactly one half without.
    exact = ask("refcoco/minigpt4", "{<0><0><0><0>}", box=(0, 0, 1, 0.000001), size=(100, 100))
    assert exact.score == 0  # one half is not more than one half


def test_unreadable_answers_are_counted() -> None:
    rule = get_rule("refcoco/cobra")
    scores = [ask("refcoco/cobra", text) for text in ("[0.25, 0.25, 0.75, 0.75]", "[0, 0, 0.1, 0.1]", "left")]
    assert rule.summary(scores) == {"accuracy": pytest.approx(1 / 3), "unreadable": pytest.approx(1 / 3)}


def test_a_question_without_a_usable_box_is_refused() -> None:
    with pytest.raises(CobraError, match="refcoco/cobra: question '1' has no true box"):
        ask("refcoco/cobra", "", box=None)
    with pytest.raises(CobraError, match="width 0, height 5"):
        ask("refcoco/cobra", "", box=(0, 0, 0, 5))
    with pytest.raises(CobraError, match="needs its picture's width and height, got None"):
        ask("refcoco/minigpt4", "{<1><1><2><2>}", size=None)
