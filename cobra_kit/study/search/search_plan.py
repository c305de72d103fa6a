"""A search as a study: the recipe as it stands is the reference, every trial is a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cobra_kit._plugins import Registry
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe, ResolvedRecipe, resolve
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.sweep import Scalar, SweepSection
from cobra_kit.study.plan.study_plan import (
    WORDS,
    RunPlan,
    check_questions,
    check_sections,
    own_benchmarks,
    study_name,
    with_data,
    without_limits,
)
from cobra_kit.study.search.agree import check_agreement, check_objectives, number_of_trials
from cobra_kit.study.search.algorithms import GRID, make_pruner, make_sampler
from cobra_kit.study.search.check import check_space
from cobra_kit.study.search.pruning import check_pruner
from cobra_kit.study.search.space import check_grid, point_recipe

REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The plan that a search starts from.

    Args:
        resolved: The recipe without the search's values, data settings complete.
        registry: Where components come from; None: the installed plugins.
    """

    resolved: ResolvedRecipe
    registry: Registry | None = None

    @property
    def recipe(self) -> Recipe:
        """Returns the recipe."""
        return self.resolved.recipe

    @property
    def sweep(self) -> SweepSection:
        """Returns what is sought."""
        assert self.recipe.sweep is not None
        return self.recipe.sweep

    @property
    def name(self) -> str:
        """Returns the name of its folder, such as `sweep_projector-laptop`."""
        return study_name(self.recipe)

    @property
    def arms(self) -> tuple[str, ...]:
        """Returns the arm that is known beforehand: the recipe as it stands."""
        return (REFERENCE,)

    @property
    def reference(self) -> str:
        """Returns its name."""
        return REFERENCE

    @property
    def seeds(self) -> tuple[int, ...]:
        """Returns the one seed of all trials."""
        return (self.recipe.seed,)

    @property
    def reference_run(self) -> RunPlan:
        """Returns the run of the recipe as it stands."""
        body = self.recipe.model_copy(update={"sweep": None})
        return RunPlan(REFERENCE, self.recipe.seed, replace(self.resolved, recipe=body, arm=REFERENCE))

    def run(self, name: str, values: Mapping[str, Scalar]) -> RunPlan:
        """Returns the run of a trial.

        Raises:
            RecipeError: The recipe cannot have these values.
        """
        resolved = with_data(resolve(point_recipe(self.recipe, values), self.registry))
        recipe = resolved.recipe.model_copy(update={"seed": self.recipe.seed})
        return RunPlan(name, self.recipe.seed, replace(resolved, recipe=recipe, arm=name))

    def lock(self) -> dict[str, str]:
        """Returns per component of the reference the distribution it came from."""
        return dict(sorted(self.resolved.lock().items()))

    def identity(self) -> dict[str, Any]:
        """Returns what must be equal for two processes to work on one search; more trials may be asked for later."""
        plain = {key: value for key, value in self.resolved.plain().items() if key not in WORDS}
        plain["sweep"] = {key: value for key, value in plain["sweep"].items() if key != "trials"}
        return {"profile": self.recipe.profile, **without_limits(plain), "lock": self.lock()}


def make_search_plan(recipe: Recipe, registry: Registry | None = None, trials: int | None = None) -> SearchPlan:
    """Returns the plan of a recipe with a section `sweep`. Nothing is made or opened.

    Args:
        recipe: A loaded recipe.
        registry: Where components come from; None: the installed plugins.
        trials: How many, where more or fewer are asked for than the section says.

    Raises:
        RecipeError: A section is missing, the space is wrong, or a part of the search would never come into play.
    """
    check_sections(recipe)
    check_questions(recipe)
    if recipe.sweep is None:
        raise RecipeError(
            "the recipe has no section `sweep`, so there is nothing to search through",
            where=str(recipe.tree.origin),
            hint="cobra-kit recipes show sweep_projector prints an example.",
        )
    if recipe.ablation is not None:
        raise problem(
            recipe.tree,
            ("ablation",),
            "the recipe has an ablation and a search, and one study is one of them",
            "To search: --set ablation=null. To run the arms: --set sweep=null.",
        )
    make_sampler(recipe)  # refuses unknown names and options before anything else is computed
    make_pruner(recipe)
    if recipe.sweep.sampler.use == GRID:
        check_grid(recipe, recipe.sweep.space)  # before each value is tried
    check_space(recipe, registry)
    check_objectives(recipe, own_benchmarks(recipe))
    check_agreement(recipe)
    # Fewer trials than the recipe says are a try of it, and more may be asked for later.
    check_pruner(recipe, max(number_of_trials(recipe), number_of_trials(recipe, trials)))
    return SearchPlan(with_data(resolve(recipe, registry)), registry)
