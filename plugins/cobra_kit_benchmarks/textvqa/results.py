"""The result form of TextVQA: a list of `{"question_id": 34602, "answer": "nous les gosses"}`.

LLaVA's answers carry the image as their `question_id`, the same for all questions about it; the prompt tells which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.definition import by_place
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.results import ResultForm, result_records, submitted
from cobra_kit_benchmarks.textvqa.reader import prompt_key

FORM = ResultForm(example='{"question_id": 34602, "answer": "dakota"}')


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions."""
    return [_answer(submitted(record, FORM, (f"#{place}",))) for place, record in enumerate(result_records(path, FORM))]


def aliases(items: Sequence[Item]) -> dict[str, str]:
    """Returns the questions by their places, and by image and question."""
    named = {prompt_key(item.image.rpartition(".")[0], item.text): item.question_id for item in items}
    return by_place(items) | named


def _answer(answer: Submitted) -> Submitted:
    if not answer.question or answer.keys[0].startswith("#"):
        return answer
    return replace(answer, keys=(prompt_key(answer.keys[0], answer.question), *answer.keys))
