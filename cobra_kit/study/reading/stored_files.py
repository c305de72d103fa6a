"""Reads the files of a study's folder: one function per file, and one text per thing that may be wrong with it.

What is not there yet is None, or empty; what is damaged raises. Whoever writes these files stands in `execution`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.data.rows import HeldOutSplit
from cobra_kit.errors import DamagedFile
from cobra_kit.files import newest_json_lines, read_sealed_json, without_seal
from cobra_kit.study.folder import MANIFEST, METRICS, SCORES, TRAINING
from cobra_kit.study.reading.stored_forms import (
    Form,
    MetricForm,
    RunManifestForm,
    StudyManifestForm,
    SummaryForm,
    TrainingForm,
    check_form,
)

SPLIT: HeldOutSplit = "test"
"""What a table is made of; `val` selects, and is never reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What training a run took. JSON-able by `asdict`.

    Args:
        seconds: In optimiser steps of the run's own stages, over all processes.
        tokens: Real tokens that went through the model.
        padding_share: Share of all positions that was padding.
        parameters_trained: How many parameters some stage trained.
        image_tokens: Tokens of one image in the language model's input.
        stages: The stages' own figures; of one that other runs use too, also its key (`shared`) and which run made it.
        shared_seconds: In stages that were trained once for this run and others.
        peak_memory_bytes: The most memory that training took in its last process; None where nobody knows.
    """

    seconds: float
    tokens: int
    padding_share: float
    parameters_trained: int
    image_tokens: int
    stages: list[dict[str, Any]]
    shared_seconds: float = 0.0
    peak_memory_bytes: int | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Returns real tokens per second of training."""
        seconds = self.seconds + self.shared_seconds
        return self.tokens / seconds if seconds else None


def condition(control: str | None, split: HeldOutSplit = SPLIT) -> str:
    """Returns the name of what is scored: `test`, `val`, or `test-shuffled-images`."""
    return f"{split}-{control}" if control else split


STUDY_HINT = "`cobra-kit run` with the same recipe and --fresh starts it over."
"""What to do about a study whose description is damaged."""

_RUN_HINT = "Delete the run's folder; it is run again."


def read_study_manifest(path: Path) -> dict[str, Any] | None:
    """Returns what describes the study in a folder, or None if there is none.

    Raises:
        UnreadableFile: It is damaged, or cannot be read now.
    """
    return _read(path / MANIFEST, StudyManifestForm, "what describes the study is damaged", STUDY_HINT)


def read_run_manifest(run_folder: Path) -> dict[str, Any] | None:
    """Returns what a run's numbers depend on, or None if it is not begun.

    Raises:
        UnreadableFile: It is damaged, or cannot be read now.
    """
    return _read(run_folder / MANIFEST, RunManifestForm, "the run's manifest is damaged", _RUN_HINT)


def read_summary(run_folder: Path) -> dict[str, Any]:
    """Returns a run's scores by condition and benchmark; empty while nothing is scored.

    Raises:
        UnreadableFile: They are damaged, or cannot be read now.
    """
    path = run_folder / SCORES
    hint = f"Delete {path} and run the study again; what is missing is scored again."
    summary: dict[str, Any] = without_seal(_read(path, SummaryForm, "the scores are damaged", hint) or {})
    return summary


def read_training(run_folder: Path) -> Training | None:
    """Returns what training took, or None if it is not finished.

    Raises:
        UnreadableFile: The file is damaged, or cannot be read now.
    """
    path = run_folder / TRAINING
    hint = f"Delete {path} and run the study again; it goes on from the last checkpoint."
    figures = _read(path, TrainingForm, "what training took is damaged", hint)
    return None if figures is None else Training(**without_seal(figures))


def is_scored(run_folder: Path, what: str) -> bool:
    """Returns whether a run has all scores of a condition."""
    return what in read_summary(run_folder)


def read_metrics(run_folder: Path, last: int = 0) -> list[dict[str, Any]]:
    """Returns what a run logged, line by line; of one that is going on, the lines that are whole.

    Args:
        run_folder: The run's folder.
        last: Look at that many lines of the end; 0: at all of them.
    """
    entries: list[dict[str, Any]] = []
    for entry in newest_json_lines(run_folder / METRICS):
        if last and len(entries) == last:
            break
        try:
            check_form(MetricForm, entry, METRICS)
        except DamagedFile:
            continue
        entries.append(entry)
    return entries[::-1]


def _read(path: Path, form: type[Form], problem: str, hint: str) -> dict[str, Any] | None:
    """Returns the mapping that a file holds, or None where there is no file."""
    try:
        content = read_sealed_json(path, hint=hint)
        check_form(form, without_seal(content), path, hint=hint)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        raise DamagedFile(path, f"{problem} ({error.message})", hint) from error
    return content
