"""Checks of what a rule reads of an answered question: a wrong kind of value is refused with words, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING

from cobra_kit.errors import CobraError, kind_of

if TYPE_CHECKING:
    from cobra_kit.evaluate.scoring.answered import Answered


def human_answers(question: Answered, rule: str, exactly: int | None = None) -> tuple[str, ...]:
    """Returns the human answers.

    A text in place of a list would be read letter by letter, and a number would equal nothing: neither is guessed at.

    Raises:
        CobraError: If there are none, not the number the rule is defined for, or not texts in a list.
    """
    given: object = question.answers
    if not isinstance(given, list | tuple):
        raise CobraError(
            f"question {question.question_id!r} has {kind_of(given)} for its human answers, "
            "the rule needs a list of texts",
            where=rule,
            hint="A single answer is a list of one text, such as ['yes'].",
        )
    for number, answer in enumerate(given, start=1):
        if not isinstance(answer, str):
            raise CobraError(
                f"question {question.question_id!r} has {kind_of(answer)} as human answer {number}, "
                "the rule needs a text",
                where=rule,
                hint="Write every answer as text, such as '2' or 'yes'.",
            )
    if not question.answers or (exactly is not None and len(question.answers) != exactly):
        wanted = f"exactly {exactly}" if exactly is not None else "at least one"
        raise CobraError(
            f"question {question.question_id!r} has {len(question.answers)} human answers, the rule needs {wanted}",
            where=rule,
        )
    return tuple(question.answers)


def predicted_text(question: Answered, rule: str) -> str:
    """Returns the generated text.

    Raises:
        CobraError: If it is not a text.
    """
    text: object = question.prediction
    if not isinstance(text, str):
        raise CobraError(
            f"question {question.question_id!r} has {kind_of(text)} as its prediction, the rule needs a text",
            where=rule,
            hint="An answer that was left empty is the empty text ''.",
        )
    return text


def finite_numbers(values: object, count: int) -> tuple[float, ...] | None:
    """Returns `count` finite numbers of a list or tuple as floats; None where it is anything else (booleans too)."""
    if not isinstance(values, list | tuple) or len(values) != count:
        return None
    if not all(isinstance(value, Real) and not isinstance(value, bool) for value in values):
        return None
    try:
        numbers = tuple(map(float, values))
    except OverflowError:  # an integer beyond any float
        return None
    return numbers if all(map(isfinite, numbers)) else None


def choose(question: Answered, choices: tuple[str, str], rule: str) -> tuple[str, float]:
    """Returns the more probable of two choices (the first if equal) and the first one's share of both.

    Raises:
        CobraError: If a probability is missing, negative or not a finite number.
    """
    given: object = {} if question.probabilities is None else question.probabilities
    if not isinstance(given, Mapping):
        raise CobraError(
            f"question {question.question_id!r} has {kind_of(given)} for its probabilities, "
            "the rule needs one per choice",
            where=rule,
            hint=f"Give them by choice, such as {{{choices[0]!r}: 0.7, {choices[1]!r}: 0.2}}.",
        )
    missing = [choice for choice in choices if choice not in given]
    if missing:
        raise CobraError(
            f"question {question.question_id!r} has no probability of {missing[0]!r}",
            where=rule,
            hint="evaluate again with first-token probabilities, or score the text with another rule",
        )
    pair = finite_numbers([given[choice] for choice in choices], 2)
    if pair is None or min(pair) < 0:
        raise CobraError(
            f"question {question.question_id!r} has probabilities {given[choices[0]]!r} and {given[choices[1]]!r}; "
            "both must be numbers of 0 or more",
            where=rule,
        )
    first, second = pair
    total = first + second
    share = first / total if total > 0 else 0.5
    return (choices[0] if first >= second else choices[1]), share
