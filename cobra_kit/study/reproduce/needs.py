"""What a recipe needs at the paper's scale and this machine does not have."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from cobra_kit.data.sources import missing_files, offered_benchmarks
from cobra_kit.errors import CobraError
from cobra_kit.paper import COLUMN_LABELS, column_label
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan import StudyPlan, make_plan
from cobra_kit.study.reproduce.sources import PROFILE, Source

_DEVICES = ("nvidia[0-9]*", "kfd")


@cache
def plan_of(recipe: str) -> StudyPlan | CobraError:
    """Returns a recipe's plan at the paper's scale, or why there is none."""
    try:
        return make_plan(load_recipe(recipe, profile=PROFILE))
    except CobraError as error:
        return error


def needs(source: Source) -> list[str]:
    """Returns what stands between a recipe and its run here; it can be fetched or made, one way or another."""
    plan = plan_of(source.recipe)
    if isinstance(plan, CobraError):
        return [f"the recipe does not resolve: {plan.message}"]
    run = next((run for run in plan.runs if run.arm == source.arm), None)
    if run is None:
        return ["the recipe does not run this arm at this scale"]
    found = []
    parts = [part.component for part in run.resolved.parts.values()]
    if unfinished := [one.qualified for one in parts if one.spec.unfinished]:
        found.append(f"{' and '.join(unfinished)} not built in this version")
    hub = [p.component.qualified for p in run.resolved.parts.values() if p.plain().get("weights") == "hub"]
    if hub:
        found.append(f"weights of {' and '.join(hub)}")
    if files := missing_files(run.resolved.recipe):
        found.append(f"data: {', '.join(map(str, files))}")
    if not has_accelerator():
        found.append("a GPU")
    return found


def offers(source: Source, column: str) -> bool:
    """Returns whether the recipe's data source has the benchmark of a column."""
    plan = plan_of(source.recipe)
    return not isinstance(plan, CobraError) and column in offered_benchmarks(plan.recipe)


def benchmark_name(column: str) -> str:
    """Returns how to name what a column measures."""
    return column_label(column) if column in COLUMN_LABELS else column.replace("_", " ")


def has_accelerator() -> bool:
    """Returns whether this machine has a GPU that torch could use, by its device files: torch itself takes seconds."""
    return sys.platform == "darwin" or any(any(Path("/dev").glob(name)) for name in _DEVICES)
