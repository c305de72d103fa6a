"""Answers of a wrong kind are refused with words under every rule: never guessed at, never a bare TypeError."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from cobra_kit.data.rows import Benchmark, Question
from cobra_kit.errors import CobraError
from cobra_kit.evaluate.predict import Prediction
from cobra_kit.evaluate.score import score
from cobra_kit.evaluate.scoring import Answered, Rule, rules

_TEN = ("yes",) * 10
_GOOD_ANSWERS = {
    "textvqa/m4c": _TEN,
    "vizwiz/official": _TEN,
    "vizwiz/cobra": _TEN,
    "vsr/first-token": ("True",),
    "vsr/text": ("True",),
}
_KINDS: dict[str, Any] = {
    "None": None,
    "int": 2,
    "NaN": math.nan,
    "bool": True,
    "bytes": b"yes",
    "text": "yes",
    "nested": (["yes"],),
    "items None": (None,),
    "items int": (2,),
    "items bool": (True,),
    "items NaN": (math.nan,),
    "items bytes": (b"yes",),
    "empty": (),
    "set": {"yes"},
    "mapping": {"answer": "yes"},
}
_READS_ANSWERS = [rule for rule in rules() if rule.needs != "box"]
_READS_TEXT = [rule for rule in rules() if rule.needs != "choices"]


def good(rule: Rule) -> Answered:
    return Answered(
        question_id="q7",
        image="p",
        prediction="yes",
        answers=_GOOD_ANSWERS.get(rule.name, ("yes",)),
        probabilities={choice: 0.5 for choice in rule.choices} or None,
        box=(1, 1, 5, 5) if rule.needs == "box" else None,
        image_size=(64, 64) if rule.needs == "box" else None,
    )


def refused(rule: Rule, **wrong: Any) -> str:
    for score_all in (lambda answered: rule.score([answered]), rule.score_one):
        with pytest.raises(CobraError) as error:
            score_all(replace(good(rule), **wrong))
        assert str(error.value).startswith(f"{rule.name}: question 'q7'")
    return str(error.value)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_what_a_rule_reads_is_scored_and_nothing_gives_nothing(rule: Rule) -> None:
    assert len(rule.score([good(rule)])) == 1
    assert rule.score([]) == []


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("rule", _READS_ANSWERS, ids=lambda rule: rule.name)
def test_human_answers_of_a_wrong_kind(rule: Rule, kind: str) -> None:
    assert "human answer" in refused(rule, answers=_KINDS[kind])


@pytest.mark.parametrize("rule", _READS_ANSWERS, ids=lambda rule: rule.name)
def test_a_list_of_texts_is_as_good_as_a_tuple(rule: Rule) -> None:
    answered = good(rule)
    listed: Any = list(answered.answers)
    assert rule.score([replace(answered, answers=listed)]) == rule.score([answered])


@pytest.mark.parametrize("value", [None, 2, 2.0, math.nan, True, b"yes", ["yes"]], ids=repr)
@pytest.mark.parametrize("rule", _READS_TEXT, ids=lambda rule: rule.name)
def test_a_prediction_that_is_no_text(rule: Rule, value: object) -> None:
    assert "as its prediction, the rule needs a text" in refused(rule, prediction=value)


@pytest.mark.parametrize("value", [None, "0.5", b"1", True, math.nan, math.inf, -0.1, 10**400, [0.5]], ids=repr)
@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.needs == "choices"], ids=lambda rule: rule.name)
def test_a_probability_of_a_wrong_kind(rule: Rule, value: object) -> None:
    first, second = rule.choices
    assert "must be numbers of 0 or more" in refused(rule, probabilities={first: value, second: 0.5})
    assert "for its probabilities" in refused(rule, probabilities=[0.5, 0.5])
    assert "for its probabilities" in refused(rule, probabilities=0.5)


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.needs == "box"], ids=lambda rule: rule.name)
def test_boxes_and_sizes_of_a_wrong_kind(rule: Rule) -> None:
    for box in ("1,1,5,5", ("1", "1", "5", "5"), (1, 1, 5), (1, 1, 5, math.nan), (math.inf, 1, 5, 5), (True,) * 4, 7):
        assert "the rule needs four finite numbers" in refused(rule, box=box)
    for size in ("64x64", ("64", "64"), (64,), (64, 0), (64.5, 64), (True, True), 64):
        assert "needs its picture's width and height" in refused(rule, image_size=size)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_lists_that_are_no_answered_questions(rule: Rule) -> None:
    wrong: Any
    for wrong, message in (
        (None, "expected a list of answered questions, got None"),
        ("yes", "expected a list of answered questions, got the text 'yes'"),
        ([None], "expected answered questions, got None among them"),
        ([{"question_id": "1"}], "expected answered questions, got a dict among them"),
    ):
        with pytest.raises(CobraError, match=message):
            rule.score(wrong)
    for name in ("question_id", "image", "group"):
        spoilt: Any = {name: 7}
        with pytest.raises(CobraError, match=f"{name} must be a text, not an int"):
            rule.score([replace(good(rule), **spoilt)])


def test_annotations_and_counts_that_do_not_fit() -> None:
    questions = [Question("q1", "p", "Is it?")]
    yes = [Prediction("q1", "p", "yes")]

    def benchmark(annotation: Any) -> Benchmark:
        return Benchmark("presence", "presence", "pope/text", questions, [annotation])

    assert score(benchmark({"answers": ["yes"]}), yes).summary["accuracy"] == 1
    with pytest.raises(CobraError, match=r"presence: question 'q1': no rule reads 'answer'\n +An annotation may hold"):
        score(benchmark({"answer": ["yes"]}), yes)
    with pytest.raises(CobraError, match="presence: question 'q1': its annotation is None, not a mapping"):
        score(benchmark(None), yes)
    with pytest.raises(CobraError, match="presence: 0 predictions for 1 questions"):
        score(benchmark({"answers": ["yes"]}), [])
