"""Every rule gives what the published evaluator gives, question by question and to the last digit."""

from __future__ import annotations

from random import Random

import official_vqa
import pytest

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring import Answered, get_rule

WORDS = [
    "cat",
    "The cat",
    "two",
    "2",
    "dont",
    "don't",
    "don\N{RIGHT SINGLE QUOTATION MARK}t",
    "whats up?",
    "1,000",
    "red/blue",
    "a",
    "Yes.",
    "yes",
]
WORDS += [
    "no",
    "unanswerable",
    "Unanswerable",
    "man - made",
    "3.5",
    "...",
    "",
    " no\n",
    "y'all",
    "can't",
    "cant",
    "the an",
]
QUOTE = "\N{RIGHT SINGLE QUOTATION MARK}"


def drawn(seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """Returns predictions with ten answers each; half of the questions have one answer or two."""
    rng = Random(seed)
    questions = []
    for _ in range(1000):
        pool = rng.sample(WORDS, rng.choice((1, 2, 3, 6)))
        answers = tuple(rng.choice(pool) for _ in range(10))
        questions.append((rng.choice([*pool, rng.choice(WORDS), " ".join(rng.sample(WORDS, 2))]), answers))
    return questions


def scored(rule: str, prediction: str, answers: tuple[str, ...]) -> float:
    question = Answered(question_id="1", image="p", prediction=prediction, answers=answers)
    return get_rule(rule).score([question])[0].score


@pytest.mark.parametrize(
    ("rule", "reference"),
    [
        ("vqav2/official", official_vqa.vqav2),
        ("vqav2/evalai", lambda text, answers: official_vqa.vqav2(official_vqa.evalai(text), answers)),
        ("textvqa/m4c", official_vqa.textvqa),
        ("vizwiz/official", lambda text, answers: official_vqa.vizwiz(text, answers, QUOTE)),
        ("vizwiz/cobra", lambda text, answers: official_vqa.vizwiz(text, answers, "`")),
    ],
)
def test_random_answers_score_as_the_published_evaluator_scores_them(rule: str, reference) -> None:  # type: ignore[no-untyped-def]
    questions = drawn(seed=3)
    scores = get_rule(rule).score(
        Answered(question_id="1", image="p", prediction=text, answers=answers) for text, answers in questions
    )
    expected = [reference(text, answers) for text, answers in questions]
    pairs = zip(questions, scores, expected, strict=True)
    assert [(question, score.score, value) for question, score, value in pairs if score.score != value] == []
    assert {0.0, 1.0} < set(expected)  # the draw reaches parts of a point too


def test_vizwiz_keeps_the_signs_of_its_table() -> None:
    plain, curved = ("don't",) * 10, (f"don{QUOTE}t",) * 10
    assert (scored("vizwiz/official", "dont", plain), scored("vizwiz/official", "dont", curved)) == (0.0, 1.0)
    assert scored("vizwiz/cobra", "dont", ("don`t",) * 10) == 1.0
    assert scored("vizwiz/official", "cant", ("can't",) * 10) == 1.0  # a few words kept their apostrophe
    assert scored("vqav2/official", "dont", ("don't",) * 9 + ("x",)) == 1.0


def test_vizwiz_never_normalises_the_answers() -> None:
    assert scored("vizwiz/official", "Two", ("Two",) * 10) == 0.0
    assert scored("vizwiz/official", "Two", ("2",) * 10) == 1.0


@pytest.mark.parametrize("given", [True, False])
def test_unanswerability_is_that_of_the_published_evaluator(given: bool) -> None:
    """Where the results hold `answerable`, that is read; else whether the answer was unanswerable."""
    rng = Random(5)
    truth = [int(rng.random() < 0.3) for _ in range(400)]
    answerable = [round(rng.random(), 1) for _ in truth]  # many ties
    texts = [rng.choice(["Unanswerable", "unanswerable.", "cat"]) for _ in truth]
    rule = get_rule("vizwiz/official")
    scores = rule.score(
        Answered(
            question_id=str(number),
            image=str(number),
            prediction=text,
            answers=("cat",) * 10,
            probabilities={"answerable": share} if given else None,
            group="unanswerable" if label else "answerable",
        )
        for number, (label, text, share) in enumerate(zip(truth, texts, answerable, strict=True))
    )
    confidence = [1.0 - share for share in answerable] if given else [float(text != "cat") for text in texts]
    summary = rule.summary(scores)
    assert summary["unanswerability_ap"] == pytest.approx(official_vqa.average_precision(truth, confidence), abs=1e-12)
    positive = [share > 0.5 for share in confidence]
    assert summary["unanswerability_f1"] == pytest.approx(official_vqa.f1(truth, positive), abs=1e-12)


def test_unanswerability_is_undefined_where_all_can_be_answered() -> None:
    rule = get_rule("vizwiz/official")
    question = Answered(question_id="1", image="p", prediction="a", answers=("a",) * 10, group="answerable")
    summary = rule.summary(rule.score([question]))
    assert (summary["unanswerability_ap"], summary["unanswerability_f1"]) == (None, None)


def test_a_probability_beyond_one_is_refused() -> None:
    question = Answered(
        question_id="1", image="p", prediction="a", answers=("a",) * 10, probabilities={"answerable": 1.5}
    )
    with pytest.raises(CobraError, match=r"question '1' has 1\.5 as `answerable`, the rule needs a number of 0 to 1"):
        get_rule("vizwiz/official").score([question])


def test_gqa_agrees_with_plain_equality_after_each_preparation() -> None:
    rng = Random(7)
    texts = ["yes", "Yes.", "yes..", "yes!", "a cat", "A cat.", "", ".", "no"]
    preparations = {
        "gqa/official": lambda text: text.lower().rstrip("."),
        "gqa/cobra": lambda text: "".join(letter for letter in text if letter.isalnum() or letter == " ").lower(),
        "gqa/exact": lambda text: text,
    }
    for name, prepare in preparations.items():
        for _ in range(500):
            text, gold = rng.choice(texts), rng.choice(["yes", "no", "a cat"])
            assert scored(name, text, (gold,)) == float(prepare(text) == gold), (name, text, gold)


def test_a_generated_answer_to_a_statement_is_true_or_false_or_wrong() -> None:
    for text, score in (("True", 1.0), (" true.", 1.0), ("False", 0.0), ("It is true", 0.0), ("", 0.0)):
        assert scored("vsr/text", text, ("True",)) == score


def test_gqa_has_accuracy_by_type_as_the_official_script() -> None:
    """`scores["accuracyPerStructuralType"][types["structural"]].append(score)` of eval.py, and so on, averaged."""
    rng = Random(3)
    structural, semantic = ["query", "verify", "logical", "compare", "choose"], ["obj", "attr", "rel", "cat", "global"]
    answered, expected = [], dict[str, list[float]]()
    for number in range(400):
        kinds = (f"structural/{rng.choice(structural)}", f"semantic/{rng.choice(semantic)}")
        text = rng.choice(["yes", "no"])
        for name in ("open" if kinds[0] == "structural/query" else "binary", *kinds):
            expected.setdefault(f"accuracy/{name}", []).append(float(text == "yes"))
        group = "open" if kinds[0] == "structural/query" else "binary"
        question = Answered(
            question_id=str(number), image="i", prediction=text, answers=("yes",), group=group, kinds=kinds
        )
        answered.append(question)
    rule = get_rule("gqa/official")
    summary = dict(rule.summary(rule.score(answered)))
    summary.pop("accuracy")
    assert summary == {name: pytest.approx(sum(scores) / len(scores)) for name, scores in expected.items()}
    assert len(summary) == 12
