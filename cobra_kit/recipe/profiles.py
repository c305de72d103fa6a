"""A recipe under all of its profiles at once, for whoever checks a file rather than runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.errors import RecipeError
from cobra_kit.recipe.arms import resolve_arms
from cobra_kit.recipe.load import load_recipe
from cobra_kit.recipe.problems import RecipeProblems, raise_problems
from cobra_kit.recipe.resolve import ResolvedRecipe, try_resolve
from cobra_kit.recipe.schema import Recipe


@dataclass(frozen=True, slots=True)
class ResolvedProfile:
    """A recipe under one profile: the model itself and, of an ablation, the arms by name."""

    model: ResolvedRecipe
    arms: Mapping[str, ResolvedRecipe]

    @property
    def recipe(self) -> Recipe:
        """Returns the recipe under this profile."""
        return self.model.recipe


def resolve_profiles(
    source: str | Path,
    *,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
) -> list[ResolvedProfile]:
    """Returns a recipe resolved under each of its profiles, the default one first.

    Args:
        source: As `load_recipe` takes it.
        profile: Only this profile.
        overrides: `a.b=c` settings, applied under every profile.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: Something is wrong under some profile; all of it together.
    """
    registry = registry or default_registry()
    first = load_recipe(source, profile=profile, overrides=overrides, registry=registry)
    others = [] if profile else [name for name in first.profile_names if name != first.profile]
    profiles: list[ResolvedProfile] = []
    problems: list[RecipeError] = []
    for name in (first.profile, *others):
        try:
            recipe = load_recipe(source, profile=name, overrides=overrides, registry=registry)
            model, wrong = try_resolve(recipe, registry)
            problems += wrong
            arms = resolve_arms(recipe, registry)
        except RecipeError as error:
            problems += error.problems if isinstance(error, RecipeProblems) else [error]
        else:
            if model is not None:
                profiles.append(ResolvedProfile(model, arms))
    raise_problems(f"the recipe {first.name!r}", problems)
    return profiles
