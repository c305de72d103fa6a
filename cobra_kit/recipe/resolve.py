"""Recipes to plugins: every name looked up, every default written out, every version recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packaging.requirements import Requirement

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.arguments import instance
from cobra_kit.errors import RecipeError
from cobra_kit.names import install_command
from cobra_kit.plugin import KINDS, Kind
from cobra_kit.recipe.parts import ResolvedPart, resolve_part
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.schema import Recipe
from cobra_kit.recipe.yaml_reader import dump_yaml


@dataclass(frozen=True, slots=True)
class ResolvedRecipe:
    """A recipe whose components were found and whose settings are complete.

    Args:
        recipe: What it was resolved from, after extends, profile and --set (and the arm's changes).
        parts: Per kind the component and its config.
        arm: The arm's name, if it is one of an ablation.
        extensions: Per benchmark of a plugin, and per source where there are several, its distribution; empty until
            they are looked up.
    """

    recipe: Recipe
    parts: Mapping[Kind, ResolvedPart]
    arm: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Returns the recipe as plain data: names qualified, nothing left to defaults, without trackers."""
        plain = self.recipe.model_dump(mode="json", exclude_none=True, exclude={"model", "ablation", "trackers"})
        plain["model"] = {kind: self.parts[kind].plain() for kind in KINDS}
        if self.recipe.ablation is not None:
            del plain["seed"]  # nobody reads it: an ablation has seeds of its own
            ablation = self.recipe.ablation
            plain["ablation"] = ablation.model_dump(mode="json", exclude_none=True, exclude={"arms"})
            plain["ablation"]["arms"] = {arm: changes or {} for arm, changes in ablation.arms.items()}
        return plain

    def to_yaml(self) -> str:
        """Returns the text of `plain`; loading and resolving it gives the same again."""
        return dump_yaml(self.plain())

    def lock(self) -> dict[str, str]:
        """Returns per component, by qualified name, the distribution it came from: `"cobra-kit 0.1.0"`."""
        parts = {part.component.qualified: part.component.distribution for part in self.parts.values()}
        return {**parts, **self.extensions}


def resolve(recipe: Recipe, registry: Registry | None = None) -> ResolvedRecipe:
    """Returns the recipe with its components found and its defaults written out.

    Args:
        recipe: A loaded recipe; of an ablation this resolves the model that the arms start from.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: A component is unknown, a setting is wrong, a requirement is not met; all of them together.
    """
    instance(recipe, Recipe, "recipe", hint="load_recipe(...) loads one.")
    resolved, problems = try_resolve(recipe, registry or default_registry())
    raise_problems(f"the recipe {recipe.name!r}", problems)
    assert resolved is not None
    return resolved


def try_resolve(
    recipe: Recipe, registry: Registry, *, arm: str | None = None
) -> tuple[ResolvedRecipe | None, list[RecipeError]]:
    """Returns the resolved recipe, or None and what is wrong."""
    problems = _unmet_requirements(recipe)
    parts: dict[Kind, ResolvedPart] = {}
    for kind in KINDS:
        part, part_problems = resolve_part(recipe.tree, kind, registry)
        problems += part_problems
        if part is not None:
            parts[kind] = part
    if problems:
        return None, problems
    return ResolvedRecipe(recipe, parts, arm), []


def _unmet_requirements(recipe: Recipe) -> list[RecipeError]:
    problems: list[RecipeError] = []
    for index, text in enumerate(recipe.requires):
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            installed = ""
        if not installed or not requirement.specifier.contains(installed, prereleases=True):
            there = f"{installed} is installed" if installed else "it is not installed"
            problems.append(
                problem(recipe.tree, ("requires", index), f"needs {text}, but {there}", install_command([text]))
            )
    return problems
