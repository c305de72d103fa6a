"""TextVQA: the M4C evaluator's rule.

Whether the prompt held OCR tokens, and where, moves this number by up to 15 points (paper, Table 7); it
belongs to the protocol's name and is not this rule's affair.
"""

from __future__ import annotations

from cobra_kit.evaluate.scoring.answered import Answered, Rule, accuracy
from cobra_kit.evaluate.scoring.checks import human_answers, predicted_text
from cobra_kit.interfaces import QuestionScore
from cobra_kit_benchmarks.common import vqa_text
from cobra_kit_benchmarks.common.open_answers import left_one_out

ANNOTATORS = 10


def _m4c(question: Answered) -> QuestionScore:
    given = human_answers(question, M4C.name, exactly=ANNOTATORS)
    answers = tuple(vqa_text.evalai(answer) for answer in given)
    return left_one_out(question, vqa_text.evalai(predicted_text(question, M4C.name)), answers)


M4C = Rule(
    name="textvqa/m4c",
    source="facebookresearch/mmf, m4c_evaluators.py",
    description="leave-one-out accuracy over ten annotators, all texts normalised as the EvalAI server does",
    score_one=_m4c,
    summarize=accuracy,
)
RULES = (M4C,)
