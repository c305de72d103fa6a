"""The results of `cobra-kit evaluate` in a run's folder: scores by benchmark and protocol, which become table rows.

`evaluations.json` lists them; `evaluations/KEY/predictions.jsonl` and `scores.jsonl` beside it hold the questions. They
are no part of `scores.json`: that says what the study's own recipe asks, and is written anew with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cobra_kit.errors import DamagedFile
from cobra_kit.evaluate.protocol import AskedProtocol
from cobra_kit.files import read_sealed_json, without_seal
from cobra_kit.study.reading.stored_forms import Count, Form, Name, ProtocolForm, ScoreForm, check_form

EVALUATIONS_FILE, EVALUATIONS = "evaluations.json", "evaluations"
EVALUATE_AGAIN = (
    "Delete it and give the `cobra-kit evaluate` command again: no question that was answered is asked again."
)


class AskedProtocolForm(ProtocolForm):
    """The stored form of an `AskedProtocol`."""

    post_processing: str
    max_new_tokens: Count
    asked: Count
    available: Count
    subset: str
    data: str


class EvaluationForm(ScoreForm):
    """A benchmark's entry in `evaluations.json`."""

    benchmark: Annotated[str, Field(max_length=400)]
    protocol: AskedProtocolForm
    model: str


class EvaluationsForm(Form):
    """`evaluations.json`: an entry by key."""

    __pydantic_extra__: dict[Name, EvaluationForm] = Field(init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvaluation:
    """A benchmark that a run was asked.

    Args:
        key: Name of its folder.
        benchmark: Qualified name of the benchmark.
        protocol: How it was asked.
        model: Digest of the weights that answered.
        entry: The scores, as `scores.json` has entries.
    """

    key: str
    benchmark: str
    protocol: AskedProtocol
    model: str
    entry: Mapping[str, Any]

    @property
    def column(self) -> tuple[str, str]:
        """Returns what the numbers of one row of a table share: the benchmark and the protocol's digest."""
        return self.benchmark, self.protocol.digest

    @property
    def title(self) -> str:
        """Returns `benchmarks/pope@coco`, or `benchmarks/pope@coco:100` of a subset: unique among most."""
        return f"{self.benchmark}@{self.protocol.split}{f':{self.protocol.asked}' if self.protocol.subset else ''}"


def evaluation_key(benchmark: str, protocol: AskedProtocol, model: str) -> str:
    """Returns the name of the folder of a model's answers under a protocol."""
    words = re.sub(r"[^A-Za-z0-9_+-]+", ".", f"{benchmark}.{protocol.split}")
    return f"{words[:80].strip('.')}.{protocol.digest}.{model[-8:]}"


def read_evaluations(run_folder: Path) -> list[StoredEvaluation]:
    """Returns what a run was asked beside its study's questions, in the order in which it was asked.

    Raises:
        DamagedFile: The file is damaged.
    """
    path = run_folder / EVALUATIONS_FILE
    try:
        content = without_seal(read_sealed_json(path, hint=EVALUATE_AGAIN))
        check_form(EvaluationsForm, content, path, hint=EVALUATE_AGAIN)
    except FileNotFoundError:
        return []
    except DamagedFile as error:
        raise DamagedFile(path, f"the list of evaluations is damaged ({error.message})", EVALUATE_AGAIN) from error
    return [
        StoredEvaluation(
            key=key,
            benchmark=entry["benchmark"],
            protocol=AskedProtocol(**{name: entry["protocol"][name] for name in AskedProtocolForm.model_fields}),
            model=entry["model"],
            entry=entry,
        )
        for key, entry in content.items()
    ]


def column_titles(evaluations: Iterable[StoredEvaluation]) -> dict[tuple[str, str], str]:
    """Returns a title for each column; where two protocols would have the same one, each gets its digest."""
    titles = {evaluation.column: evaluation.title for evaluation in evaluations}
    every = list(titles.values())
    return {
        column: title if every.count(title) == 1 else f"{title}#{column[1][:6]}" for column, title in titles.items()
    }
