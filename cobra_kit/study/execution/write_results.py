"""Writes what a run and a study found: training figures, scores, the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cobra_kit.evaluate.score import BenchmarkScore, write_scores
from cobra_kit.files import write_json, write_text
from cobra_kit.report import AblationTable, render_markdown, table_to_json
from cobra_kit.study.folder import SCORES, TRAINING, StudyFolder
from cobra_kit.study.reading.stored_files import Training, read_summary


def write_training(run_folder: Path, training: Training) -> None:
    """Marks a run's training as finished; the model must have been saved before."""
    write_json(run_folder / TRAINING, asdict(training))


def write_results(run_folder: Path, what: str, scored: Mapping[str, BenchmarkScore]) -> None:
    """Writes the scores of a condition: those of questions first, then the summary that says they are complete."""
    for name, result in scored.items():
        write_scores(run_folder / _score_file(what, name), result.scores)
    summary = read_summary(run_folder)
    summary[what] = {name: result.entry(_score_file(what, name)) for name, result in scored.items()}
    write_json(run_folder / SCORES, summary)


def write_table(folder: StudyFolder, table: AblationTable) -> None:
    """Writes the table as Markdown and as JSON."""
    write_text(folder.table_markdown, render_markdown(table))
    write_text(folder.table_json, table_to_json(table))


def _score_file(what: str, name: str) -> str:
    return f"scores/{what}/{name}.jsonl"
