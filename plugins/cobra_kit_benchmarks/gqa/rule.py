"""GQA: plain equality; the rules differ in what the caller does to the prediction first.

The official script gives accuracy over the balanced questions, and apart for binary and open ones; `group`
holds which a question is. Consistency, validity, plausibility and distribution need files beside the
questions and are not computed here.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

from cobra_kit.evaluate.scoring.answered import Answered, Rule, Summary, by_group, mean
from cobra_kit.evaluate.scoring.checks import human_answers, predicted_text
from cobra_kit.interfaces import QuestionScore

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_type(structural: str) -> str:
    """Returns `open` or `binary` for a question's `types.structural`: only `query` questions are open."""
    return "open" if structural == "query" else "binary"


def _official_form(text: str) -> str:
    return text.rstrip(".").lower()


def _cobra_form(text: str) -> str:
    return text.translate(_NO_PUNCTUATION).lower()


def _as_given(text: str) -> str:
    return text


def _equality(name: str, form: Callable[[str], str]) -> Callable[[Answered], QuestionScore]:
    def score_one(question: Answered) -> QuestionScore:
        answer = human_answers(question, name, exactly=1)[0]
        # Only the prediction is put into form, not the label: so do both evaluators.
        prediction = form(predicted_text(question, name))
        return QuestionScore(
            question.question_id, question.image, float(prediction == answer), prediction, answer, question.group
        )

    return score_one


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Returns accuracy over all questions, then that of each group, such as `accuracy/open`."""
    groups = {f"accuracy/{name}": mean(part) for name, part in by_group(scores).items() if name}
    return {"accuracy": mean(scores), **groups}


OFFICIAL = Rule(
    name="gqa/official",
    source="GQA eval.py, predictions prepared as haotian-liu/LLaVA does",
    description="equal to the answer, after lower-casing and stripping of final periods",
    score_one=_equality("gqa/official", _official_form),
    summarize=summarize,
)
COBRA = Rule(
    name="gqa/cobra",
    source="TRI-ML/vlm-evaluation, harnesses/gqa.py, as the Cobra paper used it",
    description="equal to the answer, after lower-casing and removal of all punctuation",
    score_one=_equality("gqa/cobra", _cobra_form),
    summarize=summarize,
)
EXACT = Rule(
    name="gqa/exact",
    source="GQA eval.py alone",
    description="equal to the answer as it stands, to the letter",
    score_one=_equality("gqa/exact", _as_given),
    summarize=summarize,
)
RULES = (OFFICIAL, COBRA, EXACT)
