"""GQA: plain equality; the rules differ in what the caller does to the prediction first.

The official script gives accuracy over the balanced questions, apart for binary and open ones (`group` holds which a
question is), and by structural and semantic type (`kinds`). Left out are its accuracy by numbers of words and of steps;
consistency, which needs predictions of unbalanced questions; validity, plausibility and distribution, which need the
file of choices; and grounding, which needs attention maps and scene graphs.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

from cobra_kit.evaluate.scoring.answered import Answered, Rule, Summary, by_group, mean
from cobra_kit.evaluate.scoring.checks import human_answers, predicted_text
from cobra_kit.interfaces import QuestionScore

STRUCTURAL, SEMANTIC = "structural", "semantic"
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
            question.question_id,
            question.image,
            float(prediction == answer),
            prediction,
            answer,
            question.group,
            kinds=question.kinds,
        )

    return score_one


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Returns accuracy over all questions, then that of groups and types, such as `accuracy/structural/verify`."""
    groups = {f"accuracy/{name}": mean(part) for name, part in by_group(scores).items() if name}
    by_kind: dict[str, list[QuestionScore]] = {}
    for score in scores:
        for kind in score.kinds:
            by_kind.setdefault(kind, []).append(score)
    kinds = {f"accuracy/{kind}": mean(by_kind[kind]) for kind in sorted(by_kind, key=_official_order)}
    return {"accuracy": mean(scores), **groups, **kinds}


def _official_order(kind: str) -> tuple[bool, str]:
    """Returns what sorts kinds as the official script prints them: structural types before semantic ones."""
    return not kind.startswith(STRUCTURAL), kind


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
