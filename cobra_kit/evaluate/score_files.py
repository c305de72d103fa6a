"""Scores a file of predictions against a benchmark's official files, whoever's model answered."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from cobra_kit.errors import CobraError, DataError
from cobra_kit.evaluate.matching import match
from cobra_kit.evaluate.scoring import get_rule
from cobra_kit.interfaces.scoring_rule import Answered, QuestionScore, Rule
from cobra_kit.interfaces.submission import OfficialFiles, ScoredFiles, Submitted
from cobra_kit.statistics.intervals import Interval, bootstrap_mean
from cobra_kit.statistics.scores import codes

RESAMPLES = 2_000
"""Of the interval's bootstrap: its ends move by a few hundredths of a point from one thousand to another."""


@dataclass(frozen=True, slots=True)
class FileScore:
    """The score of a file of predictions.

    Args:
        benchmark: Name of the benchmark.
        rule: The rule that scored it.
        why: Why it was that rule, in words.
        summary: The rule's numbers, the one to report first.
        interval: The interval of the number to report, images as the unit of resampling.
        scores: One per question that has an answer.
        questions: How many questions the benchmark has.
        split: The official split, or what the files are instead.
        left_out: How many questions and predictions were left out, by why.
        notes: What a reader of the number must know: what was left out, what looks odd.
    """

    benchmark: str
    rule: Rule
    why: str
    summary: Mapping[str, float | None]
    interval: Interval
    scores: Sequence[QuestionScore]
    questions: int
    split: str
    left_out: Mapping[str, int]
    notes: Sequence[str]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Stops the search for cycles, of which files of JSON make none: it costs two fifths of the time of a large one."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_garbage_collection()
def score_files(
    benchmark: type[OfficialFiles],
    predictions: Path,
    annotations: Path,
    questions: Path | None = None,
    *,
    rule: str | None = None,
    allow_missing: bool = False,
) -> FileScore:
    """Returns the score of a file of predictions.

    Args:
        benchmark: The benchmark whose files these are.
        predictions: A file in its result form.
        annotations: Its official file of answers, or the folder of its parts.
        questions: Its official file of questions, where that is another one.
        rule: Name of the rule; None: that of the default protocol, or its counterpart for texts.
        allow_missing: Whether to score what is there where questions or predictions are left over.

    Raises:
        CobraError: A file is missing, malformed or of another benchmark, predictions do not fit the questions, or the
            rule cannot read them.
    """
    files = benchmark.read_files(annotations, questions)
    matched = match(files, benchmark.read_predictions(predictions), str(predictions), allow_missing=allow_missing)
    given = [answer for answer in matched.answers if answer is not None]
    chosen, why = _rule(rule, files, given)
    _check_readable(given, chosen)
    notes = [*files.notes, *(f"left out: {problem}" for problem in matched.problems())]
    notes += benchmark.inspect(given, chosen.name)
    scores = chosen.score(_answered(files, matched.answers))
    return FileScore(
        benchmark=files.benchmark.name,
        rule=chosen,
        why=why,
        summary=chosen.summary(scores),
        interval=_interval(scores, chosen),
        scores=scores,
        questions=len(files.benchmark.questions),
        split=files.split,
        left_out={
            "questions_without_prediction": len(matched.missing),
            "predictions_without_question": len(matched.extra),
            "repeated_predictions": len(matched.repeated),
        },
        notes=notes,
    )


def _rule(name: str | None, files: ScoredFiles, given: Sequence[Submitted]) -> tuple[Rule, str]:
    if name is not None:
        return get_rule(name), "as asked"
    usual = get_rule(files.benchmark.rule)
    if usual.needs == "choices" and files.text_rule and all(answer.probabilities is None for answer in given):
        return get_rule(files.text_rule), f"the predictions are texts; {usual.name} reads probabilities"
    return usual, "the default protocol's"


def _check_readable(given: Sequence[Submitted], rule: Rule) -> None:
    """Refuses what the rule cannot read, with the place in the file, which the rule does not know."""
    for answer in given:
        for choice, value in (answer.probabilities or {}).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
                raise DataError(
                    f"the probability of {choice!r} is {value!r}, expected a number of 0 or more",
                    where=answer.where,
                    hint="NaN means that the model's weights or its precision broke: ask it again.",
                )
        if rule.needs == "choices" and answer.probabilities is None:
            raise CobraError(
                f"the rule {rule.name} reads the probabilities of {' and '.join(rule.choices)}, here is a text alone",
                where=answer.where,
                hint="Give them as `probabilities`, or score the texts with another --rule.",
            )
        if rule.needs != "choices" and answer.text is None:
            raise CobraError(
                f"the rule {rule.name} reads a text, here are probabilities alone",
                where=answer.where,
                hint="Give it as `answer`, or score the probabilities with another --rule.",
            )


def _answered(files: ScoredFiles, answers: Sequence[Submitted | None]) -> list[Answered]:
    bench = files.benchmark
    groups = bench.groups or [""] * len(bench.questions)
    return [
        Answered(
            question_id=question.question_id,
            image=question.image,
            prediction=answer.text or "",
            probabilities=answer.probabilities,
            group=group,
            **annotation,
        )
        for question, annotation, group, answer in zip(bench.questions, bench.annotations, groups, answers, strict=True)
        if answer is not None
    ]


def _interval(scores: Sequence[QuestionScore], rule: Rule) -> Interval:
    return bootstrap_mean(
        [score.score for score in scores],
        codes(score.image for score in scores),
        codes(score.group for score in scores) if rule.mean_of_groups else None,
        resamples=RESAMPLES,
    )
