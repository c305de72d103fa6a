"""Results of referring expressions: `{"question_id": 0, "answer": "[0.12, 0.20, 0.55, 0.91]"}`, or MiniGPT-4's mapping
of an image's name to the answers for its sentences, in the order of the file.

The id is the sentence's `sent_id` in REFER's files, and the place of the row, from 0 on, in MiniGPT-4's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.definition import by_place
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.json_files import Record
from cobra_kit_benchmarks.common.results import ResultForm, result_records, submitted

FORM = ResultForm(
    example='{"question_id": 0, "answer": "[0.12, 0.20, 0.55, 0.91]"}',
    id_keys=("question_id", "sent_id"),
    answer_keys=("answer", "text", "bbox", "box"),
    boxes=True,
)


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions."""
    answers = []
    for place, record in enumerate(result_records(path, FORM)):
        name, listed = record.fields.get("question_id"), record.fields.get("answer")
        if isinstance(listed, list) and listed and all(isinstance(item, str) for item in listed):
            rows = [
                Record(record.where, {"question_id": f"{name}/{turn}", "answer": text})
                for turn, text in enumerate(listed)
            ]
            answers += [submitted(row, FORM) for row in rows]
        else:
            answers.append(submitted(record, FORM, (f"#{place}",)))
    return answers


def aliases(items: Sequence[Item]) -> dict[str, str]:
    """Returns the expressions by their places, and by the image's name with the turn within it."""
    turns: Counter[str] = Counter()
    names = by_place(items)
    for item in items:
        for name in item.names:
            names[f"{name}/{turns[name]}"] = item.question_id
            turns[name] += 1
    return names
