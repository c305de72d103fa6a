from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring import Answered, get_rule
from cobra_kit_benchmarks.common import vqa_text as normalize


def ask(rule: str, prediction: str, answers: list[str]) -> float:
    answered = Answered(question_id="1", image="p", prediction=prediction, answers=tuple(answers))
    return get_rule(rule).score([answered])[0].score


@pytest.mark.parametrize(
    ("prediction", "official", "lavis"),
    [("no", 1.0, 1.0), ("No", 0.0, 1.0), ("No.", 0.0, 1.0), (" no\n", 1.0, 1.0)],
)
def test_the_official_rule_normalises_nothing_where_all_annotators_agree(
    prediction: str, official: float, lavis: float
) -> None:
    assert ask("vqav2/official", prediction, ["no"] * 10) == official
    assert ask("vqav2/lavis", prediction, ["no"] * 10) == lavis


def test_the_official_rule_normalises_both_sides_where_annotators_differ() -> None:
    answers = ["Two dogs."] * 5 + ["2 dogs"] * 4 + ["cat"]
    assert ask("vqav2/official", "the two dogs", answers) == 1.0
    # LAVIS leaves the words of the answers as they are: four "2 dogs" match, "Two dogs" does not.
    assert ask("vqav2/lavis", "the two dogs", answers) == 1.0
    assert ask("vqav2/lavis", "the two dogs", ["Two dogs."] * 9 + ["cat"]) == 0.0


def test_an_evalai_prediction_matches_where_the_raw_one_does_not() -> None:
    assert ask("vqav2/official", "Yes.", ["yes"] * 10) == 0.0
    assert ask("vqav2/evalai", "Yes.", ["yes"] * 10) == 1.0


@pytest.mark.parametrize(("matches", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_leave_one_out_over_ten_annotators(matches: int, score: float) -> None:
    answers = tuple(["x"] * matches + [f"y{index}" for index in range(10 - matches)])
    assert math.isclose(normalize.leave_one_out("x", answers), score)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12), st.sampled_from("abcd"))
def test_leave_one_out_equals_the_definition(answers: list[str], prediction: str) -> None:
    rounds = []
    for left_out in range(len(answers)):
        others = answers[:left_out] + answers[left_out + 1 :]
        rounds.append(min(1, others.count(prediction) / 3))
    assert math.isclose(normalize.leave_one_out(prediction, tuple(answers)), sum(rounds) / len(rounds), abs_tol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog, a cat", "dog cat"),
        ("red/blue", "red blue"),  # no blank beside it: the mark becomes a blank
        ("red / blue", "red blue"),  # a blank beside it: the mark goes
        ("1,000 men-women", "1000 menwomen"),  # a number with a comma: every mark goes
        ("x-ray", "x ray"),
        ("3.5", "3.5"),  # a digit follows
        ("3. 5.", "3 5"),  # no digit follows, though one comes before: the published pattern's quirk
        ("." * 40, "." * 8),  # the first 32 only: the published flag stands where the count belongs
        ("None of the ten", "0 of 10"),
        ("dont", "don't"),
        ("she'dve wouldnt've", "she'd've wouldn't've"),
        ("wed hell its", "wed hell its"),  # words that look like contractions and are words
        ("somebody'd", "somebodyd"),
        ("it's 10:30", "it's 10:30"),
        ("", ""),
    ],
)
def test_vqa_normalisation(text: str, expected: str) -> None:
    assert normalize.vqa(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Hershey's", "hershey 's"), ("Really? Yes, 1,000", "really yes 1000"), ("\tThe\nEND.", "end")],
)
def test_evalai_normalisation(text: str, expected: str) -> None:
    assert normalize.evalai(text) == expected


def test_evalai_differs_from_vqa_in_the_possessive_and_in_commas() -> None:
    assert normalize.vqa("Hershey's") == "hershey's"
    assert normalize.vqa("a,b") == "b"  # "a b", and the article goes
    assert normalize.evalai("a,b") == "ab"


@given(st.text(max_size=40))
def test_normalised_text_has_single_blanks_no_articles_and_lower_case(text: str) -> None:
    result = normalize.vqa(text)
    assert result == " ".join(result.split())
    assert not {"a", "an", "the"} & set(result.split())


@given(st.text(max_size=20))
def test_saying_what_all_annotators_say_is_right_under_every_rule(text: str) -> None:
    for rule in ("vqav2/official", "textvqa/m4c"):
        assert ask(rule, text, [text] * 10) == 1.0


def test_textvqa_wants_ten_annotators() -> None:
    with pytest.raises(CobraError, match=r"textvqa/m4c: question '1' has 2 human answers.*exactly 10"):
        ask("textvqa/m4c", "x", ["x", "x"])


def test_a_question_without_answers_is_refused() -> None:
    with pytest.raises(CobraError, match="vqav2/official: question '1' has 0 human answers"):
        ask("vqav2/official", "x", [])
