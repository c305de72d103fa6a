"""The arms of an ablation: resolved one by one, and refused if they differ in more than the factor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.arguments import instance
from cobra_kit.errors import RecipeError
from cobra_kit.formatting import suggest
from cobra_kit.recipe.check import check_structure
from cobra_kit.recipe.diff import MISSING, SettingDifference, differences, flatten
from cobra_kit.recipe.merge import merge
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.resolve import ResolvedRecipe, try_resolve
from cobra_kit.recipe.schema import ARM_KEYS, ARM_SECTIONS, Ablation, Recipe
from cobra_kit.recipe.tree import Node


def resolve_arms(recipe: Recipe, registry: Registry | None = None) -> dict[str, ResolvedRecipe]:
    """Returns the resolved arms of an ablation by name; of a recipe without one, none.

    Arms are compared after defaults. Sizes that follow from other parts (a projector's input width) are in no
    recipe, and so cannot count as differences.

    Args:
        recipe: A loaded recipe.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: An arm is wrong, differs from the reference outside the factor, or not at all.
    """
    instance(recipe, Recipe, "recipe", hint="load_recipe(...) loads one.")
    if recipe.ablation is None:
        return {}
    registry = registry or default_registry()
    resolved: dict[str, ResolvedRecipe] = {}
    problems: list[RecipeError] = []
    for arm in recipe.ablation.arms:
        resolved_arm, arm_problems = _resolve_arm(recipe, arm, registry)
        problems += arm_problems
        if resolved_arm is not None:
            resolved[arm] = resolved_arm
    raise_problems(f"the recipe {recipe.name!r}", problems)
    raise_problems(f"the recipe {recipe.name!r}", _unknown_factors(recipe, recipe.ablation, resolved))
    raise_problems(f"the recipe {recipe.name!r}", _unfair(recipe, recipe.ablation, resolved))
    return resolved


def arm_differences(resolved: Mapping[str, ResolvedRecipe], reference: str) -> dict[str, list[SettingDifference]]:
    """Returns per arm where it differs from the reference; for the reference itself, nowhere."""
    base = resolved[reference].plain()
    return {arm: differences(base, recipe.plain()) for arm, recipe in resolved.items()}


def arm_recipe(recipe: Recipe, arm: str) -> tuple[Recipe | None, list[RecipeError]]:
    """Returns the recipe of one arm, without the ablation, or None and what is wrong with it."""
    changes = recipe.tree.get("ablation", "arms", arm)
    body = recipe.tree.without("ablation")
    if changes is not None:
        body = merge(body, Node(changes.entries(), changes.origin))
    changed, problems = check_structure(body)
    if changed is None:
        return None, problems
    return changed.located(body, name=recipe.name, profile=recipe.profile, profiles=recipe.profile_names), []


def _resolve_arm(recipe: Recipe, arm: str, registry: Registry) -> tuple[ResolvedRecipe | None, list[RecipeError]]:
    changed, problems = arm_recipe(recipe, arm)
    return (None, problems) if changed is None else try_resolve(changed, registry, arm=arm)


def _unknown_factors(recipe: Recipe, ablation: Ablation, resolved: Mapping[str, ResolvedRecipe]) -> list[RecipeError]:
    paths: dict[str, None] = {}
    for resolved_arm in resolved.values():
        plain = resolved_arm.plain()
        for leaf in flatten({section: plain[section] for section in ARM_SECTIONS if section in plain}):
            # Of these sections an arm may change some keys only, so no other one can be a factor.
            keys = leaf.split(".")
            if keys[0] in ARM_KEYS and not {*keys[1:2]} <= {*ARM_KEYS[keys[0]]}:
                continue
            paths |= {".".join(keys[:end]): None for end in range(1, len(keys) + 1)}
    return [
        problem(recipe.tree, ("ablation", "factor"), f"no path {factor!r} in the recipe", _near_path(factor, paths))
        for factor in ablation.factors
        if factor not in paths
    ]


def _near_path(factor: str, paths: Mapping[str, None]) -> str:
    depth = factor.count(".")
    same_depth = [path for path in paths if path.count(".") == depth] or list(paths)
    return suggest(factor, same_depth, what="for example")


def _unfair(recipe: Recipe, ablation: Ablation, resolved: Mapping[str, ResolvedRecipe]) -> list[RecipeError]:
    """Returns one error per arm and path that differs outside the factor, and one per arm that differs nowhere."""
    problems: list[RecipeError] = []
    for arm, changes in arm_differences(resolved, ablation.reference).items():
        outside = [d for d in changes if not any(d.within(factor) for factor in ablation.factors)]
        problems += [_outside(ablation, resolved, arm, d) for d in outside]
        if not changes and arm != ablation.reference:
            message, hint = f"equals the reference {ablation.reference!r}", f"change {_factor_words(ablation)} in it"
            problems.append(problem(recipe.tree, ("ablation", "arms", arm), message, hint))
    # Twins last: of arms that are unfair, that two are equal is no news.
    return problems or _twins(recipe, resolved)


def _outside(
    ablation: Ablation, resolved: Mapping[str, ResolvedRecipe], arm: str, difference: SettingDifference
) -> RecipeError:
    here = _value(difference.right, resolved[arm], difference.path, with_origin=False)
    there = _value(difference.left, resolved[ablation.reference], difference.path)
    return problem(
        resolved[arm].recipe.tree,
        difference.path.split("."),
        f"arm {arm!r} has {here} but the reference {ablation.reference!r} has {there}",
        f"arms may differ in {_factor_words(ablation)} only",
    )


def _factor_words(ablation: Ablation) -> str:
    return " and ".join(ablation.factors)


def _twins(recipe: Recipe, resolved: Mapping[str, ResolvedRecipe]) -> list[RecipeError]:
    seen: dict[str, str] = {}
    problems: list[RecipeError] = []
    for arm, resolved_arm in resolved.items():
        text = json.dumps(resolved_arm.plain(), sort_keys=True)
        if text in seen:
            problems.append(
                problem(recipe.tree, ("ablation", "arms", arm), f"equals the arm {seen[text]!r}", "remove one of them")
            )
        seen.setdefault(text, arm)
    return problems


def _value(value: Any, resolved: ResolvedRecipe, path: str, *, with_origin: bool = True) -> str:
    if value is MISSING:
        return "none"
    text = json.dumps(value, ensure_ascii=False)
    node = resolved.recipe.tree.get(*path.split("."))
    if node is None:
        return f"{text} (the default)"
    return f"{text} ({node.origin})" if with_origin else text
