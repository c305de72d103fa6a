"""VQAv2: the official rule, and LAVIS's, which gives other numbers on the same answers."""

from __future__ import annotations

from collections.abc import Callable

from cobra_kit.evaluate.scoring.answered import Answered, Rule, accuracy
from cobra_kit.evaluate.scoring.checks import human_answers, predicted_text
from cobra_kit.interfaces import QuestionScore
from cobra_kit_benchmarks.common import vqa_text
from cobra_kit_benchmarks.common.open_answers import left_one_out


def _official(question: Answered) -> QuestionScore:
    """Normalises nothing where all annotators agree: against ten "no", "No." scores 0."""
    return _officially(question, vqa_text.strip_space, OFFICIAL.name)


def _lavis(question: Answered) -> QuestionScore:
    """Normalises the prediction always; takes punctuation off the answers, and only if they differ."""
    answers = human_answers(question, LAVIS.name)
    if len(set(answers)) > 1:
        answers = tuple(vqa_text.punctuation(answer) for answer in answers)
    return left_one_out(question, vqa_text.vqa(vqa_text.strip_space(predicted_text(question, LAVIS.name))), answers)


def _evalai(question: Answered) -> QuestionScore:
    """Applies the official rule to a prediction that went through the EvalAI processor first, as LLaVA's did."""
    return _officially(question, vqa_text.evalai, EVALAI.name)


def _officially(question: Answered, form: Callable[[str], str], rule: str) -> QuestionScore:
    answers = tuple(vqa_text.strip_space(answer) for answer in human_answers(question, rule))
    prediction = form(predicted_text(question, rule))
    # The evaluator looks at the answers before it strips them.
    if len(set(question.answers)) > 1:
        answers = tuple(vqa_text.vqa(answer) for answer in answers)
        prediction = vqa_text.vqa(prediction)
    return left_one_out(question, prediction, answers)


OFFICIAL = Rule(
    name="vqav2/official",
    source="GT-Vision-Lab/VQA a013f00, vqaEval.py",
    description="leave-one-out accuracy; prediction and answers normalised only if the annotators differ",
    score_one=_official,
    summarize=accuracy,
)
LAVIS = Rule(
    name="vqav2/lavis",
    source="salesforce/LAVIS, vqa_eval.py",
    description="leave-one-out accuracy; the prediction is always normalised",
    score_one=_lavis,
    summarize=accuracy,
)
EVALAI = Rule(
    name="vqav2/evalai",
    source="haotian-liu/LLaVA, convert_vqav2_for_submission.py, then the official rule",
    description="the official rule on a prediction already normalised as the EvalAI server does",
    score_one=_evalai,
    summarize=accuracy,
)
RULES = (OFFICIAL, LAVIS, EVALAI)
