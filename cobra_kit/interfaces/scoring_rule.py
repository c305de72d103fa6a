"""The contract of scoring rules: what each reads and gives, and `Rule` itself, which plugins name in specs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cobra_kit.arguments import renamed_arguments
from cobra_kit.errors import ArgumentError, CobraError, kind_of

Needs = Literal["text", "choices", "box"]
Summary = dict[str, float | None]


@renamed_arguments(picture="image")
@dataclass(frozen=True, slots=True)
class QuestionScore:
    """The score of one question under one rule.

    Args:
        question_id: Identifies the question within its benchmark; runs are paired on it.
        image: The image the question is about; questions of one image are resampled together.
        score: A number between 0 (wrong) and 1 (right).
        prediction: What the rule compared, after its own parsing or normalisation.
        answer: The answer it was compared with.
        group: The part of the benchmark the question belongs to, such as a POPE split.
        confidence: The probability of the positive choice, where the rule looks at probabilities.
        kinds: What else the question is, such as `structural/verify`, where the rule has numbers by that.
    """

    question_id: str
    image: str
    score: float
    prediction: str
    answer: str
    group: str = ""
    confidence: float | None = None
    kinds: tuple[str, ...] = ()


@renamed_arguments(picture="image", picture_size="image_size")
@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question, what people answered and what the model did.

    Args:
        question_id: Unique within the benchmark, over all of its splits.
        image: The image's name.
        prediction: The generated text.
        answers: What people answered; ten for VQA, one for the others, none for boxes.
        probabilities: Probability of each choice at the first token, such as `{"Yes": 0.7, "No": 0.2}`.
        box: The true box as the files have it: x, y, width, height in pixels.
        image_size: Width and height in pixels; needed with `box`.
        group: The part of the benchmark, such as `adversarial`; empty if it has no parts.
        kinds: What else the question is, such as `structural/verify`: no parts, as they overlap.
    """

    question_id: str
    image: str
    prediction: str = ""
    answers: tuple[str, ...] = ()
    probabilities: Mapping[str, float] | None = None
    box: tuple[float, float, float, float] | None = None
    image_size: tuple[int, int] | None = None
    group: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One evaluator's way to score a benchmark.

    Args:
        name: `benchmark/evaluator`, printed beside every number it gives.
        source: Where the rule is published.
        description: What it does, in one line.
        score_one: Scores one answered question.
        summarize: Gives the benchmark's numbers from the scores; the first is the one to report.
        needs: What of the model's answer it reads: generated text, probabilities of `choices`, or text that
            is a box.
        choices: The first tokens whose probabilities it compares, positive one first.
        mean_of_groups: Whether the number to report is the mean of the groups' means.
    """

    name: str
    source: str
    description: str
    score_one: Callable[[Answered], QuestionScore]
    summarize: Callable[[Sequence[QuestionScore]], Summary]
    needs: Needs = "text"
    choices: tuple[str, ...] = ()
    mean_of_groups: bool = False

    def score(self, answered: Iterable[Answered]) -> list[QuestionScore]:
        """Returns one score per question, in the order given.

        Raises:
            CobraError: If a question lacks what this rule reads, or holds it as a wrong kind of value.
        """
        if isinstance(answered, str | bytes | Mapping) or not isinstance(answered, Iterable):
            raise ArgumentError(f"expected a list of answered questions, got {kind_of(answered)}", where=self.name)
        return [self.score_one(_checked(question, self.name)) for question in answered]

    def summary(self, scores: Sequence[QuestionScore]) -> Summary:
        """Returns the benchmark's numbers, the one to report first; None where a number is not defined.

        Raises:
            CobraError: If there are no scores.
        """
        if not scores:
            raise CobraError("no scored questions: there is nothing to report", where=self.name)
        return self.summarize(scores)


def _checked(question: Answered, rule: str) -> Answered:
    # As an object, so that type checkers let the check stand: plugins and notebooks need not have types.
    item: object = question
    if not isinstance(item, Answered):
        raise ArgumentError(f"expected answered questions, got {kind_of(item)} among them", where=rule)
    for name in ("question_id", "image", "group"):
        value = getattr(question, name)
        if not isinstance(value, str):
            raise CobraError(
                f"question {question.question_id!r}: {name} must be a text, not {kind_of(value)}", where=rule
            )
    return question
