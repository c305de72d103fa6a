"""Checks before the first trial of what would fail for all: data that are not there, parts that do not fit, memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cobra_kit._plugins import attributed
from cobra_kit.errors import CobraError
from cobra_kit.files import expanded
from cobra_kit.formatting import gibibytes
from cobra_kit.machine import gpus, memory_bytes
from cobra_kit.model import compose, processor_of
from cobra_kit.model.summary import count_parameters
from cobra_kit.study.execution.study_cache import StudyCache
from cobra_kit.study.plan.study_plan import RunPlan
from cobra_kit.train import STAGES

_WEIGHT, _TRAINED = 4, 16
"""Bytes of a float32 parameter, and of one that is trained: its gradient and AdamW's two moments beside it."""
_HALF = 2
_NAMED = ("none", "packaged", "hub")
"""Weights that are no path."""


def check_any(runs: Iterable[RunPlan], cache: StudyCache) -> None:
    """Raises what is wrong with the first of some runs if something is wrong with each of them.

    Some points of a search may be impossible, and fail by themselves; a mistake in the recipe shows in all of them.
    Nothing is trained and no weights are built; the data that the first good run needs are opened, once.

    Args:
        runs: That are to be done; none: nothing is wrong.
        cache: The study's data, and where models are.

    Raises:
        CobraError: None of the runs can be done.
    """
    first: CobraError | None = None
    for run in runs:
        try:
            with attributed(part.component for part in run.resolved.parts.values()):
                _check(run, cache)
        except CobraError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def needed_memory(run: RunPlan, device: str) -> int:
    """Returns the bytes that weights, gradients and moments of a run take, without a single row."""
    return _needed(run, _parameters(run), device)


def _parameters(run: RunPlan) -> dict[str, int]:
    model = compose(run.resolved, device="meta")
    return {kind: count_parameters(module)[0] for kind, module in model.parts().items()}


def _needed(run: RunPlan, counts: Mapping[str, int], device: str) -> int:
    trained = {kind for stage in run.train.stages() for kind in STAGES[stage].trains}
    resting = _WEIGHT if device == "cpu" else _HALF
    return sum(count * (_TRAINED if kind in trained else resting) for kind, count in counts.items())


def _check(run: RunPlan, cache: StudyCache) -> None:
    counts = _parameters(run)
    needed = _needed(run, counts, cache.device)
    memory = memory_bytes() if cache.device == "cpu" else max((gpu.memory for gpu in gpus()), default=None)
    if memory is not None and needed > memory:
        what = "this machine" if cache.device == "cpu" else "the GPU"
        raise CobraError(
            f"{run.name} has {sum(counts.values()):,} parameters, whose training needs {gibibytes(needed)} of memory "
            f"without a single row; {what} has {gibibytes(memory)}",
            hint="Choose smaller parts (`cobra-kit plan` shows the size of each), or a machine with more memory.",
        )
    for kind, part in run.resolved.parts.items():
        weights = str(getattr(part.config, "weights", "none"))
        path = Path(weights)
        if weights not in _NAMED and len(path.parts) > 1 and not expanded(path).exists():
            raise CobraError(
                f"no such file or folder: {weights}",
                where=f"model.{kind}.weights",
                hint="Give the path of a file or folder, or `none` for random weights.",
            )
    _ = processor_of(run.resolved)
    cache.benchmarks(run, "test")
    _ = cache.source(run).rows
