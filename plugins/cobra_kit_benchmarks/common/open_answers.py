"""The score of an open answer beside those of several annotators, once a rule has put all of them into its form."""

from __future__ import annotations

from cobra_kit.evaluate.scoring.answered import Answered
from cobra_kit.interfaces import QuestionScore
from cobra_kit_benchmarks.common.vqa_text import leave_one_out, most_common


def left_one_out(
    question: Answered, prediction: str, answers: tuple[str, ...], confidence: float | None = None
) -> QuestionScore:
    """Returns the leave-one-out accuracy of a prediction.

    Args:
        question: What was asked.
        prediction: What was answered, in the rule's form.
        answers: The annotators' answers, in the rule's form.
        confidence: What the rule makes of the answer beside its accuracy; None: nothing.
    """
    return QuestionScore(
        question_id=question.question_id,
        image=question.image,
        score=leave_one_out(prediction, answers),
        prediction=prediction,
        answer=most_common(answers),
        group=question.group,
        confidence=confidence,
    )
