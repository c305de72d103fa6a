"""Accuracy on validation while a run trained, from its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Curves = dict[str, tuple[tuple[float, float], ...]]
"""Benchmark, or `mean`, to (step, accuracy), in order of steps."""


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
