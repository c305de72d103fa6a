"""Reads the samples that lmms-eval writes with `--log_samples`: a line per document, whatever the task is.

`{"doc_id": 3, "input": "Is there a dog?", "filtered_resps": "Yes", "target": "Yes", "submission": {...}, ...}`, as
lmms-eval 0.7 has it (`loggers/evaluation_tracker.py`). The document itself is left out there. The id of its question
stands in what the task computed for its metrics, if it does; else the number of the document is its place.
"""

from __future__ import annotations

from typing import Any

from cobra_kit.errors import DataError, kind_of
from cobra_kit_benchmarks.common.json_files import Record

_OWN = ("doc_id", "filtered_resps")
_IDS = ("question_id", "questionId", "qid", "id")


def is_sample(record: Record) -> bool:
    """Returns whether a row is a sample of lmms-eval's."""
    return all(key in record.fields for key in _OWN)


def plain_answer(record: Record) -> Record:
    """Returns a sample as a row of `question_id`, `answer` and `prompt`; any other row as it is.

    Raises:
        DataError: The sample has several answers, or probabilities of choices instead of one.
    """
    if not is_sample(record):
        return record
    fields = record.fields
    row = {"question_id": _name(fields), "answer": _answer(record), "prompt": fields.get("input", "")}
    image = next((figures["image"] for figures in _figures(fields) if isinstance(figures.get("image"), str)), None)
    return Record(record.where, row if image is None else {**row, "image": image})


def _name(fields: dict[str, Any]) -> Any:
    for figures in _figures(fields):
        for key in _IDS:
            if isinstance(figures.get(key), str | int):
                return figures[key]
    return f"#{fields['doc_id']}"


def _figures(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns what the task computed of a document, for each of its metrics."""
    return [value for value in fields.values() if isinstance(value, dict)]


def _answer(record: Record) -> str:
    """Returns the answer after the task's filters, before what its metrics make of it."""
    value = record.fields["filtered_resps"]
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    what = f"{len(value)} answers" if isinstance(value, list) else kind_of(value)
    raise DataError(
        f"`filtered_resps` holds {what}, expected one text",
        where=record.where,
        hint="Samples of tasks that generate one answer can be scored: output_type generate_until, repeats 1.",
    )
