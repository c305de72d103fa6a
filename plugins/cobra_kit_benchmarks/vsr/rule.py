"""VSR, whose statements about an image are true or false."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring.answered import Answered, Rule, Summary, mean
from cobra_kit.evaluate.scoring.checks import choose, human_answers, predicted_text
from cobra_kit.interfaces import QuestionScore

_CHOICES = ("True", "False")


def _first_token(question: Answered) -> QuestionScore:
    choice, share = choose(question, _CHOICES, FIRST_TOKEN.name)
    return _scored(question, choice, FIRST_TOKEN.name, share)


def _text(question: Answered) -> QuestionScore:
    """Takes the whole answer, case and a final period aside; all but true and false is wrong."""
    prediction = predicted_text(question, TEXT.name).strip().rstrip(".").strip().capitalize()
    return _scored(question, prediction, TEXT.name)


def _scored(question: Answered, choice: str, rule: str, share: float | None = None) -> QuestionScore:
    answer = human_answers(question, rule, exactly=1)[0]
    if answer not in _CHOICES:
        raise CobraError(f"question {question.question_id!r} is labelled {answer!r}, not True or False", where=rule)
    return QuestionScore(
        question_id=question.question_id,
        image=question.image,
        score=float(choice == answer),
        prediction=choice,
        answer=answer,
        group=question.group,
        confidence=share,
    )


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Returns accuracy and the area under the ROC curve of P(True); the latter is None with one class
    only."""
    return {"accuracy": mean(scores), "auc": roc_auc(scores, positive="True")}


def roc_auc(scores: Sequence[QuestionScore], positive: str) -> float | None:
    """Returns the chance that a positive question has more confidence than a negative one; ties count
    half."""
    confidence = np.array([np.nan if score.confidence is None else score.confidence for score in scores])
    truth = np.array([score.answer == positive for score in scores])
    if np.isnan(confidence).any() or truth.all() or not truth.any():
        return None
    # Imported here: nothing else of the rules needs scipy, and loading it takes longer than scoring.
    from scipy.stats import rankdata

    rank = rankdata(confidence)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    # Mann and Whitney's U of the positives: their ranks, less what these would be among themselves.
    return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


FIRST_TOKEN = Rule(
    name="vsr/first-token",
    source="TRI-ML/vlm-evaluation, harnesses/vsr.py, as the Cobra paper used it",
    description="the more probable of True and False as first token; accuracy, and AUC",
    score_one=_first_token,
    summarize=summarize,
    needs="choices",
    choices=_CHOICES,
)
TEXT = Rule(
    name="vsr/text",
    source="cobra-kit, for generated answers, which the paper's rule does not read",
    description="the whole answer must be true or false, whatever its case, perhaps with a final period",
    score_one=_text,
    summarize=summarize,
)
RULES = (FIRST_TOKEN, TEXT)
