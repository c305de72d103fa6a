"""Ten annotators who do not always agree, so that a perfect observer stays below 100."""

from __future__ import annotations

from random import Random

NUM_ANNOTATORS = 10
SPLIT_VOTE = 0.4
"""On a disputed question each annotator gives the true answer with this probability, else any other one."""


def ten_answers(answer: str, choices: tuple[str, ...], disagreement: float, rng: Random) -> list[str]:
    """Returns ten answers: all the same, or, on a share `disagreement` of questions, split."""
    if rng.random() >= disagreement:
        return [answer] * NUM_ANNOTATORS
    others = [choice for choice in choices if choice != answer]
    return [answer if rng.random() < SPLIT_VOTE else rng.choice(others) for _ in range(NUM_ANNOTATORS)]


def agreement(prediction: str, answers: list[str]) -> float:
    """Returns the VQA accuracy of one prediction: min(1, same answers / 3), averaged over leaving each out.

    Source: Antol et al., VQA (arXiv 1505.00468), and the evaluation code of VQAv2. Answers of this world are
    already normalised, so nothing is normalised here; `cobra_kit.evaluate` has the full rules.
    """
    same = answers.count(prediction)
    left_out_same = min(1.0, (same - 1) / 3) if same else 0.0
    left_out_other = min(1.0, same / 3)
    return (same * left_out_same + (len(answers) - same) * left_out_other) / len(answers)
