"""The result form of VQAv2: a list of `{"question_id": 42, "answer": "yes"}`."""

from __future__ import annotations

from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.results import ResultForm, read_results

FORM = ResultForm(example='{"question_id": 42, "answer": "yes"}')


def read(path: Path) -> list[Submitted]:
    """Returns the answers of a file of predictions."""
    return read_results(path, FORM)
