"""VizWiz: Qing Li's evaluator, as published and as vlm-evaluation carries it.

The prediction is always normalised, the human answers never; accuracy leaves one annotator out, by place. In the
published table of contractions most apostrophes are typographic ones (in vlm-evaluation's copy: grave accents), so
that "dont" never equals a human "don't": both quirks are kept, since both gave published numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring.answered import Answered, QuestionScore, Rule, Summary, by_group, mean
from cobra_kit.evaluate.scoring.checks import finite_numbers, human_answers, predicted_text
from cobra_kit_benchmarks.common import vqa_text
from cobra_kit_benchmarks.common.open_answers import left_one_out

ANSWERABLE = "answerable"
UNANSWERABLE = "unanswerable"


def _score_with(name: str, mark: str) -> Callable[[Answered], QuestionScore]:
    table = vqa_text.contractions_with(mark)

    @lru_cache(1 << 14)
    def normalised(text: str) -> str:
        return vqa_text.words(vqa_text.punctuation(vqa_text.strip_space(text)), table)

    def score_one(question: Answered) -> QuestionScore:
        answers = human_answers(question, name, exactly=10)
        prediction = normalised(predicted_text(question, name))
        return left_one_out(question, prediction, answers, _unanswerability(question, prediction, name))

    return score_one


def _unanswerability(question: Answered, prediction: str, rule: str) -> float:
    """Returns P(unanswerable): one less what the results give as `answerable`, else whether that was the answer."""
    if question.probabilities is None:
        return float(prediction == UNANSWERABLE)
    value = finite_numbers([question.probabilities.get(ANSWERABLE)], 1)
    if value is None or not 0 <= value[0] <= 1:
        given = question.probabilities.get(ANSWERABLE)
        raise CobraError(
            f"question {question.question_id!r} has {given!r} as `answerable`, the rule needs a number of 0 to 1",
            where=rule,
            hint="It is the probability that the question can be answered; leave it out of all rows if there is none.",
        )
    return 1.0 - value[0]


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Returns accuracy, average precision and F1 of unanswerability, then accuracy per group.

    The positive class is "unanswerable" by the annotation's `answerable`. Both numbers are None where no question is
    unanswerable, or the questions do not say.
    """
    groups = {f"accuracy/{name}": mean(part) for name, part in by_group(scores).items() if name}
    truth = np.array([score.group == UNANSWERABLE for score in scores])
    confidence = np.array([score.confidence or 0.0 for score in scores])
    known = bool(truth.any()) and all(score.group for score in scores)
    return {
        "accuracy": mean(scores),
        "unanswerability_ap": average_precision(truth, confidence) if known else None,
        "unanswerability_f1": _f1(truth, confidence > 0.5) if known else None,
        **groups,
    }


def average_precision(truth: np.ndarray, confidence: np.ndarray) -> float:
    """Returns the sum over thresholds of the gain in recall times the precision there; ties share one threshold.

    Args:
        truth: Which items are positive; at least one.
        confidence: How sure one is of each.
    """
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))  # the last item of each tie
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    hits = int((truth & predicted).sum())
    return 2 * hits / (int(truth.sum()) + int(predicted.sum()))


OFFICIAL = Rule(
    name="vizwiz/official",
    source="VizWiz VQA API by Qing Li, vizwiz.org",
    description="leave-one-out accuracy; the prediction is always normalised, the ten answers never; unanswerability",
    score_one=_score_with("vizwiz/official", "\N{RIGHT SINGLE QUOTATION MARK}"),
    summarize=summarize,
)
COBRA = Rule(
    name="vizwiz/cobra",
    source="TRI-ML/vlm-evaluation, util/evaluation/vizwiz, as the Cobra paper used it",
    description="the official rule with grave accents in its table; unanswerable where that is the answer",
    score_one=_score_with("vizwiz/cobra", "`"),
    summarize=summarize,
)
RULES = (OFFICIAL, COBRA)
