"""Several runs' scores lined up question by question."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobra_kit.arguments import finite_number, text, texts
from cobra_kit.errors import ArgumentError, CobraError, kind_of
from cobra_kit.interfaces.scoring_rule import QuestionScore

__all__ = ["Aligned", "QuestionScore", "align"]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Scores of several runs over the same questions.

    Args:
        scores: `[runs questions]`, in `[0, 1]`.
        clusters: `[questions]`, the image of each question as an integer.
        groups: `[questions]`, the group of each question as an integer.
        question_ids: The questions, in the order of the columns.
        group_names: The groups by their integers.
    """

    scores: NDArray[np.float64]
    clusters: NDArray[np.intp]
    groups: NDArray[np.intp]
    question_ids: tuple[str, ...]
    group_names: tuple[str, ...]


def align(runs: Sequence[Sequence[QuestionScore]], names: Sequence[str] | None = None) -> Aligned:
    """Returns the runs' scores, lined up on the question.

    The order of questions may differ between runs; the set of questions may not.

    Args:
        runs: One list of scores per run.
        names: What to call the runs in an error.

    Raises:
        CobraError: If there are no runs or no questions, a question occurs twice, or runs answered
            different questions or the same question about different images.
    """
    _check_runs(runs)
    if not runs or not runs[0]:
        raise CobraError("no scored questions to compare")
    labels = (
        texts(names, "names", example='["mlp", "ldpv2"]')
        if names is not None
        else [f"run {index + 1}" for index in range(len(runs))]
    )
    if len(labels) != len(runs):
        raise ArgumentError(f"{len(labels)} names for {len(runs)} runs")
    indexed = [_index(run, label) for run, label in zip(runs, labels, strict=True)]
    first = indexed[0]
    for scores, label in zip(indexed[1:], labels[1:], strict=True):
        _check_same_questions(first, scores, labels[0], label)
    order = list(first)
    matrix = np.array([[scores[key].score for key in order] for scores in indexed], dtype=np.float64)
    return Aligned(
        scores=matrix,
        clusters=codes(first[key].image for key in order),
        groups=codes(first[key].group for key in order),
        question_ids=tuple(order),
        group_names=tuple(dict.fromkeys(first[key].group for key in order)),
    )


def codes(labels: Iterable[Hashable]) -> NDArray[np.intp]:
    """Returns an integer per label: equal labels, equal integers, numbered in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.intp)


def _check_runs(runs: object) -> None:
    if not isinstance(runs, list | tuple):
        raise ArgumentError(f"runs must be a list of lists of scores, not {kind_of(runs)}")
    for run in runs:
        if not isinstance(run, list | tuple):
            raise ArgumentError(f"a run must be a list of scores, not {kind_of(run)}")
        for item in run:
            if not isinstance(item, QuestionScore):
                raise ArgumentError(f"a run must hold QuestionScores, not {kind_of(item)}")
            for name in ("question_id", "image", "group"):
                text(getattr(item, name), f"{name} of a score")
            finite_number(item.score, f"the score of question {item.question_id!r}")


def _index(run: Sequence[QuestionScore], label: str) -> dict[str, QuestionScore]:
    index: dict[str, QuestionScore] = {}
    for score in run:
        if score.question_id in index:
            raise CobraError(f"{label} scores question {score.question_id!r} twice")
        index[score.question_id] = score
    return index


def _check_same_questions(
    first: dict[str, QuestionScore], other: dict[str, QuestionScore], first_label: str, label: str
) -> None:
    missing = [key for key in first if key not in other]
    added = [key for key in other if key not in first]
    if missing or added:
        example = (missing or added)[0]
        raise CobraError(
            f"{first_label} and {label} did not answer the same questions: {len(missing)} only in "
            f"{first_label}, {len(added)} only in {label}, for example {example!r}",
            hint="score both on the same split before comparing them",
        )
    for key, score in first.items():
        if (score.image, score.group) != (other[key].image, other[key].group):
            raise CobraError(
                f"question {key!r} is about {score.image!r} in {first_label} and about {other[key].image!r} in {label}",
                hint="the two runs saw different versions of the benchmark",
            )
