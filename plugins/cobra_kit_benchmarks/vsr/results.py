"""Results of VSR: `{"question_id": 0, "probabilities": {"True": 0.7, "False": 0.2}}`, or `"answer": "True"`.

The number is that of the line of the official file, from 0 on; image and caption together name a statement, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.definition import by_place
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.results import ResultForm, read_results

CHOICES = ("True", "False")
FORM = ResultForm(example='{"question_id": 0, "answer": "True"}', choices=CHOICES)


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions."""
    return [_answer(answer) for answer in read_results(path, FORM)]


def aliases(items: Sequence[Item]) -> dict[str, str]:
    """Returns the statements by their places, and by image and caption."""
    return by_place(items) | {f"{item.image}\n{item.text}": item.question_id for item in items}


def _answer(answer: Submitted) -> Submitted:
    if not answer.image or not answer.question:
        return answer
    return replace(answer, keys=(f"{answer.image}\n{answer.question}", *answer.keys))
