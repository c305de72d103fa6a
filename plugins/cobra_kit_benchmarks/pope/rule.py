"""POPE: three rules that turn an answer into yes or no, and the numbers that are reported."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring.answered import Answered, Rule, Summary, by_group, mean
from cobra_kit.evaluate.scoring.checks import choose, human_answers, predicted_text
from cobra_kit.interfaces import QuestionScore

_CHOICES = ("Yes", "No")


def _text(question: Answered) -> QuestionScore:
    """Reads the first sentence, commas dropped, split on blanks: a "No", "no" or "not" means no, all else yes."""
    # As upstream: split(" ") and not split(), and yes for whatever is neither, an empty answer included.
    words = predicted_text(question, TEXT.name).split(".")[0].replace(",", "").split(" ")
    return _scored(question, "no" if {"No", "no", "not"} & set(words) else "yes", TEXT.name)


def _first_token(question: Answered) -> QuestionScore:
    choice, share = choose(question, _CHOICES, FIRST_TOKEN.name)
    return _scored(question, choice.lower(), FIRST_TOKEN.name, share)


def _exact(question: Answered) -> QuestionScore:
    """Takes the answer as it is, lower-cased and stripped: anything but yes or no is wrong and counts as neither.

    lmms-eval prints the share of yes among the labels as its yes ratio; here it is that of the answers.
    """
    return _scored(question, predicted_text(question, EXACT.name).lower().strip(), EXACT.name)


def _scored(question: Answered, prediction: str, rule: str, confidence: float | None = None) -> QuestionScore:
    answer = human_answers(question, rule, exactly=1)[0].lower().strip()
    if answer not in {"yes", "no"}:
        raise CobraError(f"question {question.question_id!r} is labelled {answer!r}, not yes or no", where=rule)
    return QuestionScore(
        question_id=question.question_id,
        image=question.image,
        score=float(prediction == answer),
        prediction=prediction,
        answer=answer,
        group=question.group,
        confidence=confidence,
    )


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Returns accuracy, precision, recall, F1 and yes ratio, each the mean over the splits.

    The mean of the splits' accuracies is the paper's number. Where there are several splits, each one's own
    numbers follow as `f1/adversarial` and so on. A number is None where it is not defined: precision without
    a yes, recall without a yes among the labels.
    """
    splits = {name: _one_split(part) for name, part in by_group(scores).items()}
    summary: Summary = {}
    for number in ("accuracy", "precision", "recall", "f1", "yes_ratio"):
        values = [split[number] for split in splits.values()]
        known = [value for value in values if value is not None]
        # Not the mean of the splits where it is defined: arms would be compared on different splits.
        summary[number] = sum(known) / len(known) if len(known) == len(values) else None
    if len(splits) > 1:
        for name, split in splits.items():
            summary |= {f"{number}/{name}": value for number, value in split.items()}
    return summary


def _one_split(scores: Sequence[QuestionScore]) -> Summary:
    pairs = [(score.prediction, score.answer) for score in scores]
    hits, false_alarms = pairs.count(("yes", "yes")), pairs.count(("yes", "no"))
    misses = pairs.count(("no", "yes"))
    precision = hits / (hits + false_alarms) if hits + false_alarms else None
    recall = hits / (hits + misses) if hits + misses else None
    return {
        "accuracy": mean(scores),
        "precision": precision,
        "recall": recall,
        "f1": _harmonic_mean(precision, recall),
        "yes_ratio": (hits + false_alarms) / len(pairs),
    }


def _harmonic_mean(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


TEXT = Rule(
    name="pope/text",
    source="AoiDragon/POPE, evaluate.py",
    description="a first sentence with the word no or not means no, all else (also nothing) yes",
    score_one=_text,
    summarize=summarize,
    mean_of_groups=True,
)
FIRST_TOKEN = Rule(
    name="pope/first-token",
    source="TRI-ML/vlm-evaluation, harnesses/pope.py, as the Cobra paper used it",
    description="the more probable of Yes and No as first token; mean of the splits' accuracies",
    score_one=_first_token,
    summarize=summarize,
    needs="choices",
    choices=_CHOICES,
    mean_of_groups=True,
)
EXACT = Rule(
    name="pope/exact",
    source="EvolvingLMMs-Lab/lmms-eval, tasks/pope",
    description="the whole answer must be yes or no",
    score_one=_exact,
    summarize=summarize,
    mean_of_groups=True,
)
RULES = (FIRST_TOKEN, TEXT, EXACT)
