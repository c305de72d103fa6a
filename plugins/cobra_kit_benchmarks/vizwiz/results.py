"""The result form of VizWiz: a list of `{"image": "VizWiz_val_00000000.jpg", "answer": "soup"}`.

`answerable`, the probability that the question can be answered, may stand in each row: the form of the second task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.results import ResultForm, result_records, submitted
from cobra_kit_benchmarks.vizwiz.rule import ANSWERABLE

FORM = ResultForm(
    example='{"image": "VizWiz_val_00000000.jpg", "answer": "soup"}',
    id_keys=("image", "question_id"),
    answer_keys=("answer", "text"),
)


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions."""
    answers = []
    for place, record in enumerate(result_records(path, FORM)):
        answer = submitted(record, FORM, (f"#{place}",))
        # vlm-evaluation's results repeat the label under this key: a label is no prediction.
        if ANSWERABLE in record.fields and "ground_truth_answer" not in record.fields:
            answer = replace(answer, probabilities={ANSWERABLE: record.fields[ANSWERABLE]})
        answers.append(answer)
    return answers


def by_number(items: Sequence[Item]) -> dict[str, str]:
    """Returns the questions by their places, `0` and `#0`: vlm-evaluation numbers them."""
    return {f"{mark}{place}": item.question_id for place, item in enumerate(items) for mark in ("", "#")}
