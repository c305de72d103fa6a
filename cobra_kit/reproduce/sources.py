"""The recipe and arm that stand for each row of a published table, as the recipes themselves say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.formatting import suggest
from cobra_kit.paper import PaperTable, paper_table, paper_table_names
from cobra_kit.recipe import Recipe, builtin_recipes, find_recipe, load_recipe
from cobra_kit.study.plan.study_plan import ONLY_ARM

PROFILE = "paper"
_PREFIX = "paper."


@dataclass(frozen=True, slots=True)
class Source:
    """An arm of a recipe that stands for a row.

    Args:
        recipe: The name that `load_recipe` takes.
        study: The recipe's own name, which its studies carry.
        arm: The arm; `model` of a recipe without arms.
        table: The published table that the recipe names.
        model: The model that the table's row is about.
    """

    recipe: str
    study: str
    arm: str
    table: str
    model: str

    def __str__(self) -> str:
        return self.recipe if self.arm == ONLY_ARM else f"{self.recipe}, {self.arm}"


def table_named(name: str) -> PaperTable:
    """Returns the table that `paper.table5`, or its own name, stands for.

    Raises:
        CobraError: There is none, or it holds no results.
    """
    tables = [paper_table(table) for table in paper_table_names()]
    by_name = {f"{_PREFIX}table{table.number}": table for table in tables if table.number is not None}
    by_name |= {table.name: table for table in tables}
    known = [key for key, table in by_name.items() if key.startswith(_PREFIX) and table.measures != "settings"]
    if name not in by_name:
        raise CobraError(f"no published table named {name!r}", hint=suggest(name, known, what="tables"))
    table = by_name[name]
    if table.measures == "settings":
        raise CobraError(
            f"{name} holds settings, not results",
            hint=f"`cobra-kit recipes show cobra_3b --profile {PROFILE}` has ours; tables: {', '.join(known)}",
        )
    return table


def sources_of(names: Sequence[str] | None = None) -> list[Source]:
    """Returns what the recipes stand for, those of ablations first.

    Args:
        names: The recipes; None: all packaged ones.

    Raises:
        CobraError: A recipe names a table or a row that there is not.
    """
    sources: list[Source] = []
    for name in builtin_recipes() if names is None else names:
        recipe = _paper_profile(name)
        if recipe is not None:
            sources += _of(name, recipe)
    return sorted(sources, key=lambda source: source.arm == ONLY_ARM)


def _paper_profile(name: str) -> Recipe | None:
    try:
        return load_recipe(name, profile=PROFILE)
    except RecipeError:
        return None  # it has no such profile; what else may be wrong with it, `recipes validate` says


def _of(name: str, recipe: Recipe) -> list[Source]:
    if recipe.ablation is not None:
        paper = recipe.ablation.paper
        return [_source(name, recipe, arm, paper.table, row) for arm, row in paper.rows.items()] if paper else []
    single = recipe.paper
    # A row is the claim of the file that names it: a recipe that only extends that file is another model.
    if single is None or recipe.origin("paper.row").source != find_recipe(name).display:
        return []
    return [_source(name, recipe, ONLY_ARM, single.table, single.row)]


def _source(name: str, recipe: Recipe, arm: str, table: str, row: str) -> Source:
    published = paper_table(table)
    return Source(name, recipe.name, arm, table, published.model(published.row(row).name))
