"""Reads the files of a study's folder: one function per file, and one text per thing that may be wrong with it.

What is not there yet is None, or empty; what is damaged raises. Whoever writes these files stands in `execution`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.data.rows import HeldOutSplit
from cobra_kit.errors import CobraError, DataError
from cobra_kit.files import newest_json_lines
from cobra_kit.study.folder import MANIFEST, METRICS, SCORES, TRAINING

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


def read_study_manifest(path: Path) -> dict[str, Any] | None:
    """Returns what describes the study in a folder, or None if there is none.

    Raises:
        CobraError: It is damaged.
    """
    try:
        manifest = _read_json(path / MANIFEST)
        if manifest is not None:
            _ = manifest["study"], manifest["profile"]
            manifest["identity"] = dict(manifest["identity"])
    except _DAMAGED as error:
        raise damaged_study(path, error) from error
    return manifest


def damaged_study(path: Path, error: Exception) -> CobraError:
    """Returns the error about a study whose description cannot be read."""
    reason = " ".join(str(error).split())
    return CobraError(
        f"what describes the study is damaged ({type(error).__name__}: {reason})",
        where=str(path),
        hint="`cobra-kit run` with the same recipe and --fresh starts it over.",
    )


def read_run_manifest(run_folder: Path) -> dict[str, Any] | None:
    """Returns what a run's numbers depend on, or None if it is not begun.

    Raises:
        DataError: It is damaged.
    """
    path = run_folder / MANIFEST
    try:
        manifest = _read_json(path)
        if manifest is not None:
            _ = manifest["data"], manifest["sessions"]
    except _DAMAGED as error:
        raise DataError(
            f"the run's manifest is damaged ({error})",
            where=str(path),
            hint="Delete the run's folder; it is run again.",
        ) from error
    return manifest


def read_summary(run_folder: Path) -> dict[str, Any]:
    """Returns a run's scores by condition and benchmark; empty while nothing is scored.

    Raises:
        CobraError: They are damaged.
    """
    return _read_result(run_folder / SCORES) or {}


def read_training(run_folder: Path) -> Training | None:
    """Returns what training took, or None if it is not finished.

    Raises:
        CobraError: The file is damaged.
    """
    figures = _read_result(run_folder / TRAINING)
    return None if figures is None else Training(**figures)


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
            _ = entry["stage"], int(entry["step"])
        except (ValueError, KeyError, TypeError):
            continue
        entries.append(entry)
    return entries[::-1]


_DAMAGED = (OSError, ValueError, KeyError, TypeError, RecursionError)


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError("not a mapping")
    return content


def _read_result(path: Path) -> dict[str, Any] | None:
    try:
        return _read_json(path)
    except _DAMAGED as error:
        raise CobraError(f"damaged: {error}", where=str(path), hint="Delete it and run again.") from error
