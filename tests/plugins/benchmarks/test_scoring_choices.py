"""POPE, VSR and GQA: rules over choices."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import scipy.stats  # noqa: F401  # here, since its import takes longer than hypothesis lets an example take
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring import Answered, QuestionScore, get_rule
from cobra_kit_benchmarks.gqa.rule import answer_type
from cobra_kit_benchmarks.vsr.rule import roc_auc


def score(
    rule: str, prediction: str = "", answer: str = "yes", probabilities: Mapping[str, float] | None = None
) -> QuestionScore:
    answered = Answered(
        question_id="1", image="p", prediction=prediction, answers=(answer,), probabilities=probabilities
    )
    return get_rule(rule).score([answered])[0]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("No", "no"),
        ("no, there is none", "no"),
        ("No, there is", "no"),
        ("There is not a dog", "no"),
        ("Yes. There is no cat", "yes"),  # the first sentence only
        ("", "yes"),  # nothing counts as yes
        ("NO", "yes"),  # only No, no and not are looked for
        ("nothing", "yes"),
        ("No\nindeed", "yes"),  # split on blanks only
        ("Yes", "yes"),
    ],
)
def test_the_text_rule_of_pope(text: str, read: str) -> None:
    assert score("pope/text", text).prediction == read


@pytest.mark.parametrize(("text", "right"), [("Yes", 1), (" yes\n", 1), ("yes.", 0), ("", 0), ("no", 0)])
def test_the_exact_rule_of_pope(text: str, right: int) -> None:
    assert score("pope/exact", text, "yes").score == right


def test_the_first_token_rules_take_the_more_probable_choice_and_ignore_the_text() -> None:
    assert score("pope/first-token", "No", "yes", {"Yes": 0.02, "No": 0.01}).score == 1
    assert score("pope/first-token", "", "no", {"Yes": 0.5, "No": 0.5}).prediction == "yes"
    vsr = score("vsr/first-token", "", "False", {"True": 0.1, "False": 0.3})
    assert (vsr.score, vsr.confidence) == (1, pytest.approx(0.25))


def test_a_missing_or_impossible_probability_is_refused() -> None:
    with pytest.raises(CobraError, match=r"pope/first-token: question '1' has no probability of 'No'"):
        score("pope/first-token", "yes", "yes", {"Yes": 1.0})
    with pytest.raises(CobraError, match="probabilities nan and 0"):
        score("vsr/first-token", "", "True", {"True": math.nan, "False": 0.0})


def test_a_label_that_is_no_label_is_refused() -> None:
    with pytest.raises(CobraError, match=r"pope/text: question '1' is labelled 'maybe', not yes or no"):
        score("pope/text", "yes", "maybe")
    with pytest.raises(CobraError, match="labelled '1', not True or False"):
        score("vsr/first-token", "", "1", {"True": 1.0, "False": 0.0})


def made(pairs: list[tuple[str, str]], group: str = "") -> list[QuestionScore]:
    return [
        QuestionScore(f"{group}{index}", "p", float(predicted == true), predicted, true, group)
        for index, (predicted, true) in enumerate(pairs)
    ]


def test_pope_reports_the_mean_of_split_accuracies_not_of_questions() -> None:
    scores = made([("yes", "yes")] * 3 + [("yes", "no")], "random") + made([("no", "yes")], "popular")
    summary = get_rule("pope/text").summary(scores)
    assert next(iter(summary)) == "accuracy"
    assert summary["accuracy"] == pytest.approx((3 / 4 + 0) / 2)
    assert summary["precision/random"] == 3 / 4
    assert summary["recall/random"] == 1
    assert summary["f1/random"] == pytest.approx(6 / 7)
    assert summary["yes_ratio/random"] == 1
    assert summary["precision/popular"] is None
    assert summary["precision"] is None
    assert summary["yes_ratio"] == 0.5


def test_an_answer_that_is_neither_counts_as_wrong_and_as_no_answer() -> None:
    summary = get_rule("pope/exact").summary(made([("yes", "yes"), ("perhaps", "yes"), ("no", "no")]))
    assert summary["accuracy"] == pytest.approx(2 / 3)
    assert summary["recall"] == 1  # as in lmms-eval: only a plain no is a miss
    assert summary["yes_ratio"] == pytest.approx(1 / 3)


def test_no_scores_no_summary() -> None:
    with pytest.raises(CobraError, match="pope/text: no scored questions"):
        get_rule("pope/text").summary([])


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[float, bool]]) -> None:
    scores = [
        QuestionScore(str(index), "p", 0.0, "True", str(truth), confidence=confidence)
        for index, (confidence, truth) in enumerate(pairs)
    ]
    above = [confidence for confidence, truth in pairs if truth]
    below = [confidence for confidence, truth in pairs if not truth]
    area = roc_auc(scores, positive="True")
    if not above or not below:
        assert area is None
    else:
        wins = sum((a > b) + (a == b) / 2 for a in above for b in below)
        assert area == pytest.approx(wins / (len(above) * len(below)))


@pytest.mark.parametrize(
    ("prediction", "official", "cobra"), [("Yes.", 1, 1), ("yes!", 0, 1), (" yes", 0, 0), ("YES", 1, 1)]
)
def test_gqa_is_plain_equality_after_the_callers_preparation(prediction: str, official: int, cobra: int) -> None:
    assert score("gqa/official", prediction, "yes").score == official
    assert score("gqa/cobra", prediction, "yes").score == cobra


def test_gqa_reports_binary_and_open_apart_and_the_mean_over_questions() -> None:
    assert [answer_type(kind) for kind in ("query", "verify", "choose")] == ["open", "binary", "binary"]
    scores = made([("a", "a")], "open") + made([("yes", "no"), ("no", "no"), ("yes", "no")], "binary")
    assert get_rule("gqa/official").summary(scores) == {
        "accuracy": 0.5,
        "accuracy/open": 1.0,
        "accuracy/binary": pytest.approx(1 / 3),
    }
