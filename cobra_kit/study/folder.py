"""The paths of a study's folder; `execution` writes what stands there, `reading` reads it.

STUDY/recipe.yaml, lock.json, manifest.json, table.md, table.json, features/, shared/stages/<key>/ (see `stages`)
STUDY/runs/<arm>-s<seed>/recipe.yaml, lock.json, manifest.json, metrics.jsonl, checkpoints/, model.safetensors,
    training.json, predictions/<split>[-control]/<benchmark>.jsonl, scores/<the same>, scores.json,
    evaluations.json, evaluations/<key>/{predictions,scores}.jsonl (what `cobra-kit evaluate` asked beside the recipe)
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

MANIFEST, RECIPE, LOCK_FILE = "manifest.json", "recipe.yaml", "lock.json"
SCORES, TRAINING, METRICS = "scores.json", "training.json", "metrics.jsonl"
PREDICTIONS = "predictions"
TABLE_JSON, TABLE_MARKDOWN, REPORT, FEATURES = "table.json", "table.md", "report.html", "features"
FINAL_LOCK = ".final.lock"
HOLDER = ".lock"
"""Held by whoever works in the folder, with that process's name in it."""

WORKERS_LOCK = ".workers.lock"
"""Shared by the workers of a `run`, which holds the folder for them; a folder is emptied only once they are gone."""


class Named(Protocol):
    """A run, as far as its files go."""

    @property
    def arm(self) -> str:
        """Returns its arm."""

    @property
    def seed(self) -> int:
        """Returns its seed."""

    @property
    def name(self) -> str:
        """Returns the name of its folder, such as `mlp-s7`."""


class StudyFolder:
    """The paths of a study.

    Args:
        path: The study's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.features = path / FEATURES
        self.stages = path / "shared" / "stages"
        self.workers = path / "workers"
        self.final_lock = path / FINAL_LOCK
        self.table_json = path / TABLE_JSON
        self.table_markdown = path / TABLE_MARKDOWN
        self.report = path / REPORT

    def run(self, run: Named) -> Path:
        """Returns the folder of a run."""
        return self.path / "runs" / run.name

    def run_lock(self, name: str) -> Path:
        """Returns the file whose lock is held by whoever works on the run of that name."""
        return self.path / "runs" / f".{name}.lock"
