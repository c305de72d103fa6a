"""Recipes: typed, merged, and resolved to plugins. Reading one never runs code of its own."""

from __future__ import annotations

from cobra_kit.recipe.arms import arm_differences, resolve_arms
from cobra_kit.recipe.derived import DerivedSizes, remember_sizes, remembered_sizes, runs_as_on_disk, sizes_key
from cobra_kit.recipe.diff import SettingDifference, differences, flatten
from cobra_kit.recipe.listing import ListedRecipe, list_recipes
from cobra_kit.recipe.load import load_recipe
from cobra_kit.recipe.locate import builtin_recipes, builtin_recipes_dir, find_recipe
from cobra_kit.recipe.parts import ResolvedPart
from cobra_kit.recipe.problems import RecipeProblems
from cobra_kit.recipe.profiles import ResolvedProfile, resolve_profiles
from cobra_kit.recipe.resolve import ResolvedRecipe, resolve
from cobra_kit.recipe.schema import Recipe, json_schema

__all__ = [
    "DerivedSizes",
    "SettingDifference",
    "ListedRecipe",
    "Recipe",
    "RecipeProblems",
    "ResolvedPart",
    "ResolvedProfile",
    "ResolvedRecipe",
    "arm_differences",
    "builtin_recipes",
    "builtin_recipes_dir",
    "differences",
    "find_recipe",
    "flatten",
    "json_schema",
    "list_recipes",
    "load_recipe",
    "remember_sizes",
    "remembered_sizes",
    "resolve",
    "resolve_arms",
    "resolve_profiles",
    "runs_as_on_disk",
    "sizes_key",
]
