"""Writes what a run and a study found: training figures, scores, the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cobra_kit.errors import DamagedFile
from cobra_kit.evaluate.score import BenchmarkScore, write_scores
from cobra_kit.files import file_digest, write_sealed_json, write_text
from cobra_kit.report import AblationTable, render_markdown, table_to_json
from cobra_kit.study.folder import LOCK_FILE, RECIPE, SCORES, TRAINING, StudyFolder
from cobra_kit.study.reading.stored_files import Training, read_summary

SAVED = (RECIPE, LOCK_FILE)
"""The small files of a trained model, of which `training.json` has the digests; its weights have one of their own."""


def write_training(run_folder: Path, training: Training) -> None:
    """Marks a run's training as finished; the model must have been saved before."""
    saved = {name: asdict(file_digest(run_folder / name)) for name in SAVED if (run_folder / name).is_file()}
    write_sealed_json(run_folder / TRAINING, {**asdict(training), "files": saved})


def write_results(run_folder: Path, what: str, scored: Mapping[str, BenchmarkScore]) -> None:
    """Writes the scores of a condition: those of questions first, then the summary that says they are complete.

    A summary that is damaged is written anew.
    """
    entries = {}
    for name, result in scored.items():
        file = _score_file(what, name)
        write_scores(run_folder / file, result.scores)
        entries[name] = {**result.entry(file), "digest": asdict(file_digest(run_folder / file))}
    try:
        summary = read_summary(run_folder)
    except DamagedFile:
        summary = {}
    write_sealed_json(run_folder / SCORES, {**summary, what: entries})


def write_table(folder: StudyFolder, table: AblationTable) -> None:
    """Writes the table as Markdown and as JSON."""
    write_text(folder.table_markdown, render_markdown(table))
    write_text(folder.table_json, table_to_json(table))


def _score_file(what: str, name: str) -> str:
    return f"scores/{what}/{name}.jsonl"
