"""Accuracy on validation while a run trained, from its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cobra_kit.study.reading.stored_files import Training, damaged_metrics, read_metrics

Curves = dict[str, tuple[tuple[float, float], ...]]
"""Benchmark, or `mean`, to (step, accuracy), in order of steps."""


def whole_curves(run_folder: Path, training: Training | None) -> dict[str, Curves]:
    """Returns the curves of a trained run's stages, as far as its log has all of them.

    A stage ends with a validation. A log that lacks it, or has lines that were damaged, says nothing reliable of when
    the run learnt what, so that run has no curve.

    Args:
        run_folder: The run's folder.
        training: Its training figures; None where it is not trained.
    """
    if training is None:
        return {}
    lines = read_metrics(run_folder)
    if damaged_metrics(run_folder, lines):
        return {}
    ends = {entry.get("stage"): entry.get("steps") for entry in training.stages}
    return {
        stage: curves
        for stage, curves in validation_curves(lines).items()
        if all(points[-1][0] == ends.get(stage, points[-1][0]) for points in curves.values())
    }


def validation_curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, Curves]:
    """Returns the curves of each stage that was validated, stages in the order of the log.

    Args:
        lines: The lines of `metrics.jsonl`, as `read_metrics` returns them.
    """
    by_stage: dict[str, dict[str, dict[float, float]]] = {}
    for line in lines:
        for benchmark, accuracy in (line.get("validation") or {}).items():
            if accuracy is not None:
                # Of a step that was logged twice the newer line holds: a run went on from before it.
                points = by_stage.setdefault(str(line["stage"]), {}).setdefault(benchmark, {})
                points[float(line["step"])] = float(accuracy)
    return {
        stage: {name: tuple(sorted(points.items())) for name, points in curves.items()}
        for stage, curves in by_stage.items()
    }
