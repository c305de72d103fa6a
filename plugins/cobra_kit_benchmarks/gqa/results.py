"""The result form of GQA: a list of `{"questionId": "201307251", "prediction": "yes"}`."""

from __future__ import annotations

from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.results import ResultForm, read_results

FORM = ResultForm(
    example='{"questionId": "201307251", "prediction": "yes"}',
    id_keys=("questionId", "question_id"),
    answer_keys=("prediction", "text"),
)


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions."""
    return read_results(path, FORM)
