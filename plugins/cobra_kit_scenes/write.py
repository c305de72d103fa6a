"""Writes one split: labels, training rows or official files, and the slice of every question."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cobra_kit_scenes import file_formats
from cobra_kit_scenes.held_out import held_out_questions
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.rows import train_rows
from cobra_kit_scenes.vocabulary import Split

SCENES_FILE = "scenes.jsonl"
ROWS_FILE = "llava.json"
SLICES_FILE = "slices.json"


def write_labels(folder: Path, scenes: Sequence[Scene]) -> None:
    """Writes what is in every image of a split, one line each."""
    write_lines(folder / SCENES_FILE, [scene.to_json() for scene in scenes])


def write_train(folder: Path, scenes: Sequence[Scene], params: SceneParams) -> dict[str, int]:
    """Writes LLaVA rows and, in `slices.json`, the slice of each turn per row id; returns turns per slice."""
    rows: list[dict[str, Any]] = []
    slices: dict[str, list[str]] = {}
    for row, names in train_rows(scenes, params):
        if row is not None:
            rows.append(row)
            slices[row["id"]] = names
    write_json(folder / ROWS_FILE, rows)
    write_json(folder / SLICES_FILE, slices)
    return dict(sorted(Counter(name for names in slices.values() for name in names).items()))


def write_held_out(
    folder: Path,
    scenes: Sequence[Scene],
    split: Split,
    params: SceneParams,
    popular: tuple[tuple[str, str], ...],
) -> dict[str, int]:
    """Writes every benchmark of a split and, in `slices.json`, the slice of each question in file order."""
    chosen = held_out_questions(scenes, split, params.seed, popular, params.held_out_levels)
    questions, annotations = file_formats.vqav2_form(chosen["vqav2"], split, params.seed, params.disagreement)
    write_json(folder / "vqav2_questions.json", questions)
    write_json(folder / "vqav2_annotations.json", annotations)
    for benchmark in ("pope_random", "pope_popular", "pope_adversarial"):
        write_lines(folder / f"{benchmark}.json", file_formats.pope_form(chosen[benchmark], split))
    write_lines(folder / "vsr.jsonl", file_formats.vsr_form(chosen["vsr"], split))
    write_json(
        folder / "textvqa.json",
        file_formats.textvqa_form(chosen["textvqa"], split, params.seed, params.disagreement),
    )
    write_json(folder / "refcoco.json", file_formats.refcoco_form(chosen["refcoco"], split))
    write_json(folder / SLICES_FILE, {name: [row.question.slice for row in rows] for name, rows in chosen.items()})
    return {name: len(rows) for name, rows in chosen.items()}


def write_json(path: Path, value: Any) -> None:
    """Writes one JSON value."""
    path.write_text(json.dumps(value), encoding="utf-8")


def write_lines(path: Path, values: Sequence[Any]) -> None:
    """Writes one JSON value per line."""
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
