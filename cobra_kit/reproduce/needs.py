"""The needs of a recipe at the paper's scale that this machine does not meet."""

from __future__ import annotations

from functools import cache

from cobra_kit.errors import CobraError
from cobra_kit.estimate.missing import missing_weights
from cobra_kit.estimate.missing_data import missing_benchmark_files, missing_data
from cobra_kit.model import compose
from cobra_kit.paper import COLUMN_LABELS, column_label, is_published, paper_column
from cobra_kit.recipe import ResolvedRecipe, load_recipe
from cobra_kit.reproduce.sources import PROFILE, Source
from cobra_kit.study.plan.study_plan import StudyPlan, asked_benchmarks, make_plan


@cache
def plan_of(recipe: str) -> StudyPlan | CobraError:
    """Returns a recipe's plan at the paper's scale, or why there is none; made once per reproduction."""
    try:
        return make_plan(load_recipe(recipe, profile=PROFILE))
    except CobraError as error:
        return error


def needs(source: Source) -> tuple[str, ...]:
    """Returns what stands between a recipe and its run here; it can be fetched or made, one way or another."""
    plan = plan_of(source.recipe)
    if isinstance(plan, CobraError):
        return (f"the recipe does not resolve: {plan.message}",)
    run = next((run for run in plan.runs if run.arm == source.arm), None)
    if run is None:
        return ("the recipe does not run this arm at this scale",)
    lacking = []
    parts = [part.component for part in run.resolved.parts.values()]
    if unfinished := [part.qualified for part in parts if part.spec.unfinished]:
        lacking.append(f"{' and '.join(unfinished)} not built in this version")
    if not unfinished:
        lacking += _weights(run.resolved)
    data = [thing.what.removesuffix(" not there") for thing in missing_data(run.resolved.recipe)]
    lacking += [what.removesuffix(" is").removesuffix(" are") for what in data]
    lacking += [thing.what.removesuffix(" not there") for thing in missing_benchmark_files(run.resolved.recipe)]
    if not has_accelerator():
        lacking.append("a GPU")
    return tuple(lacking)


def _weights(resolved: ResolvedRecipe) -> list[str]:
    """Returns the weights and tokenizers that are not on this machine."""
    try:
        model = compose(resolved, device="meta")
    except CobraError as error:
        return [f"parts that can be built: {error.message}"]
    return [thing.what for thing in missing_weights(model, resolved)]


def offers(source: Source, column: str) -> bool:
    """Returns whether the recipe asks the benchmark of a column."""
    plan = plan_of(source.recipe)
    if isinstance(plan, CobraError):
        return False
    return any(is_published(name) and paper_column(name) == column for name in asked_benchmarks(plan.recipe))


def benchmark_name(column: str) -> str:
    """Returns how to name what a column measures."""
    return column_label(column) if column in COLUMN_LABELS else column.replace("_", " ")


def has_accelerator() -> bool:
    """Returns whether this machine has a GPU that torch could use, here."""
    import torch

    return bool(torch.accelerator.is_available())
