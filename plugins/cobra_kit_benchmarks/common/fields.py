"""The fields of a record, checked: a wrong kind of value is refused with its place, never turned into another."""

from __future__ import annotations

import math
from typing import Any

from cobra_kit.errors import DataError, kind_of
from cobra_kit_benchmarks.common.json_files import Record

ANNOTATORS = 10


def text_field(record: Record, key: str) -> str:
    """Returns a field that must be a text.

    Raises:
        DataError: It is missing or something else.
    """
    value = _present(record, key)
    if not isinstance(value, str):
        raise DataError(f"`{key}` is {kind_of(value)}, expected a text", where=record.where)
    return value


def id_field(record: Record, key: str) -> str:
    """Returns a field that is an identifier, a text or a whole number, as text.

    Raises:
        DataError: It is missing or something else.
    """
    value = _present(record, key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(f"`{key}` is {kind_of(value)}, expected a number or a text", where=record.where)
    return str(value)


def list_field(record: Record, key: str) -> list[Any]:
    """Returns a field that must be a list.

    Raises:
        DataError: It is missing or something else.
    """
    value = _present(record, key)
    if not isinstance(value, list):
        raise DataError(f"`{key}` is {kind_of(value)}, expected a list", where=record.where)
    return value


def number_field(record: Record, key: str) -> float:
    """Returns a field that must be a finite number.

    Raises:
        DataError: It is missing or something else.
    """
    value = _present(record, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        shown = value if isinstance(value, float) else kind_of(value)
        raise DataError(f"`{key}` is {shown}, expected a finite number", where=record.where)
    return value


def ten_answers(record: Record, key: str = "answers", *, within: str | None = "answer") -> tuple[str, ...]:
    """Returns the ten human answers of a question.

    Args:
        record: The question's record.
        key: The field that holds them.
        within: The key of the text where each answer is a mapping; None where each is a text.

    Raises:
        DataError: There are not ten, or one is no text.
    """
    answers = list_field(record, key)
    if len(answers) != ANNOTATORS:
        raise DataError(
            f"{len(answers)} human answers, expected {ANNOTATORS}",
            where=record.where,
            hint="Leave-one-out accuracy is defined for ten: fetch the official file again.",
        )
    texts = [answer.get(within) if isinstance(answer, dict) else answer for answer in answers] if within else answers
    if set(map(type, texts)) == {str}:  # two million of them: one look, unless it finds something
        return tuple(texts)
    for number, answer in enumerate(texts, start=1):
        if not isinstance(answer, str):
            raise DataError(
                f"human answer {number} is {kind_of(answer)}, expected a text",
                where=record.where,
                hint="Write every answer as text, such as '2' or 'yes'.",
            )
    return tuple(texts)


def _present(record: Record, key: str) -> Any:
    if key not in record.fields:
        has = ", ".join(f"`{name[:40]}`" for name in list(record.fields)[:8]) or "nothing"
        raise DataError(f"no `{key}` (it has {has})", where=record.where)
    return record.fields[key]
