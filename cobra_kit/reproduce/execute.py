"""Runs what a published table needs and this machine can do; a study that was begun goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.formatting import gibibytes
from cobra_kit.reproduce.cells import Reproduction
from cobra_kit.reproduce.needs import plan_of
from cobra_kit.reproduce.sources import Source
from cobra_kit.study.plan.study_plan import StudyPlan
from cobra_kit.weights import available_memory

Start = Callable[[StudyPlan, Path], object]
_BYTES_PER_TRAINED = 16
"""Weights, gradients and AdamW's two moments in float32."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of a recipe that was to be run.

    Args:
        recipe: Name of the recipe.
        why_not: Why it was not run to its end; empty where it was.
    """

    recipe: str
    why_not: str = ""


def run_missing(reproduction: Reproduction, studies: Path, start: Start) -> list[Attempt]:
    """Runs, recipe by recipe, what the table's cells need and nothing prevents.

    Args:
        reproduction: The table as it stands.
        studies: Where studies are kept; each goes to `<recipe>-paper` there.
        start: Runs a plan in a folder; see `study.execution.run_study.run_plan`.
    """
    attempts = []
    for source in _wanted(reproduction):
        plan = plan_of(source.recipe)
        why_not = _prevented(reproduction, source)
        if not why_not and isinstance(plan, StudyPlan):
            why_not = _too_large(plan)
            if not why_not:
                try:
                    start(plan, studies / plan.name)
                except CobraError as error:
                    why_not = str(error)
        attempts.append(Attempt(source.recipe, why_not))
    return attempts


def _wanted(reproduction: Reproduction) -> list[Source]:
    """Returns one source per recipe: the first of each row with a cell that was not run."""
    rows = [row for row in reproduction.rows if row.sources and any(cell.verdict == "not run" for cell in row.cells)]
    return list({row.sources[0].recipe: row.sources[0] for row in rows}.values())


def _prevented(reproduction: Reproduction, source: Source) -> str:
    """Returns what a row's cells have said; a missing GPU prevents nothing that fits the memory."""
    row = next(row for row in reproduction.rows if row.sources and row.sources[0] == source)
    reasons = {cell.reason for cell in row.cells if cell.verdict == "not run"}
    blocking = sorted(reason for reason in reasons if not reason.startswith(("needs ", "can be run")))
    if len(blocking) == len(reasons):
        return "; ".join(blocking)
    data = [need for need in row.needs if need.startswith(("data.", "benchmark ")) or "not built" in need]
    return f"needs {'; '.join(data)}" if data else ""


def _too_large(plan: StudyPlan) -> str:
    """Returns by how much the largest arm's training state exceeds the memory; empty where it fits."""
    from cobra_kit.model import compose

    sizes = []
    for resolved in {run.arm: run.resolved for run in plan.runs}.values():
        parts = compose(resolved, device="meta").parts()
        trained = [part for kind, part in parts.items() if kind != "vision_encoder"]
        sizes.append(sum(p.numel() for part in trained for p in part.parameters()) * _BYTES_PER_TRAINED)
    available = _available_memory()
    if available is None or max(sizes) <= available:
        return ""
    return (
        f"needs {gibibytes(max(sizes), digits=0)} for weights, gradients and optimiser state in float32, "
        f"{gibibytes(available, digits=0)} are free"
    )


def _available_memory() -> int | None:
    """Returns the bytes that can be had: of the GPU where there is one, else of this machine."""
    import torch

    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else available_memory()
