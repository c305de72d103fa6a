"""The work of the commands of `cobra-kit recipes`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from cobra_kit import columns
from cobra_kit.cli import recipes_text
from cobra_kit.cli.recipes_derived import Sizes, derived_sizes, plain_sizes
from cobra_kit.data.asked import asked_of_plugins
from cobra_kit.data.sources import source_settings
from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.estimate.missing_data import missing_benchmark_files, missing_data
from cobra_kit.formatting import escaped_json
from cobra_kit.recipe import (
    RecipeProblems,
    ResolvedProfile,
    ResolvedRecipe,
    SettingDifference,
    arm_differences,
    differences,
    find_recipe,
    json_schema,
    list_recipes,
    load_recipe,
    resolve,
    resolve_arms,
    resolve_profiles,
)
from cobra_kit.recipe.diff import MISSING
from cobra_kit.recipe.problems import raise_problems
from cobra_kit.study.plan.chosen_trackers import chosen_trackers

_COMMAND = "cobra-kit "


def list_all(*, as_json: bool) -> None:
    """Prints the recipes that have names."""
    recipes = list_recipes()
    if as_json:
        fields = ("name", "title", "profiles", "error")
        _print_json([{field: getattr(recipe, field) for field in fields} for recipe in recipes])
    else:
        _print(recipes_text.listing(recipes, columns.width()))


def show_file(recipe: str) -> None:
    """Prints a recipe as its file has it."""
    typer.echo(find_recipe(recipe).read().rstrip("\n"))


def show_resolved(recipe: str, *, arm: str | None, profile: str | None, changes: Sequence[str], as_json: bool) -> None:
    """Prints a recipe, or one arm, merged and resolved; what is printed is a recipe itself."""
    loaded = load_recipe(recipe, profile=profile, overrides=changes)
    resolved = resolve(loaded) if arm is None else _arm(recipe, arm, resolve_arms(loaded))
    if as_json:
        _print_json({"recipe": resolved.plain(), "lock": resolved.lock()})
    else:
        _print([recipes_text.heading(resolved), resolved.to_yaml().rstrip("\n")])


def validate(recipe: str, *, profile: str | None, changes: Sequence[str], as_json: bool) -> None:
    """Prints what a recipe comes to under its profiles.

    Raises:
        RecipeError: It holds under some profile not; everything that is wrong, together.
    """
    profiles = resolve_profiles(recipe, profile=profile, overrides=changes)
    _check_data(recipe, profiles)
    sizes = _all_sizes(recipe, profiles)
    if as_json:
        _print_json([_profile_json(resolved, derived) for resolved, derived in zip(profiles, sizes, strict=True)])
        return
    lines = [f"{find_recipe(recipe).display} is valid"]
    for resolved, derived in zip(profiles, sizes, strict=True):
        lines += ["", *recipes_text.profile(resolved, derived, columns.width())]
        lines += recipes_text.not_there(_missing_files(resolved), _remedies(resolved), columns.width())
    _print(lines)


def diff(recipe: str, other: str, *, profile: str | None, other_profile: str | None, as_json: bool) -> None:
    """Prints where two resolved recipes differ."""
    left = resolve(load_recipe(recipe, profile=profile))
    right = resolve(load_recipe(other, profile=other_profile))
    changes = differences(left.plain(), right.plain())
    if as_json:
        _print_json([_difference_json(d) for d in changes])
    else:
        _print(recipes_text.comparison(left, right, changes, columns.width()))


def diff_arms(recipe: str, *, profile: str | None, as_json: bool) -> None:
    """Prints where the arms of a recipe differ from its reference."""
    loaded = load_recipe(recipe, profile=profile)
    if loaded.ablation is None:
        raise RecipeError("the recipe has no arms", where=recipe, hint="compare it with another: recipes diff A B")
    arms, reference = resolve_arms(loaded), loaded.ablation.reference
    by_arm = {arm: changed for arm, changed in arm_differences(arms, reference).items() if arm != reference}
    if as_json:
        _print_json({arm: [_difference_json(d) for d in changed] for arm, changed in by_arm.items()})
        return
    lines: list[str] = []
    for arm, changed in by_arm.items():
        lines += [*([""] if lines else []), typer.style(f"arm {arm}, compared with {reference}", bold=True)]
        lines += recipes_text.comparison(arms[reference], arms[arm], changed, columns.width())
    _print(lines)


def schema() -> None:
    """Prints the JSON schema of a recipe file."""
    _print_json(json_schema())


def _arm(recipe: str, arm: str, arms: Mapping[str, ResolvedRecipe]) -> ResolvedRecipe:
    if arm not in arms:
        raise RecipeError(f"no arm named {arm!r}", where=recipe, hint=f"arms: {', '.join(arms) or 'none'}")
    return arms[arm]


def _check_data(recipe: str, profiles: Sequence[ResolvedProfile]) -> None:
    """Raises what is wrong with the settings of data sources, benchmarks and trackers of any profile and arm."""
    problems: list[RecipeError] = []
    for profile in profiles:
        for resolved in (profile.model, *profile.arms.values()):
            try:
                asked_of_plugins(resolved.recipe)
                chosen_trackers(resolved.recipe)
                if resolved.recipe.data is not None:
                    source_settings(resolved.recipe)
            except RecipeError as error:
                problems += error.problems if isinstance(error, RecipeProblems) else [error]
    raise_problems(recipe, problems)


def _missing_files(profile: ResolvedProfile) -> list[str]:
    """Returns the files that are not on this machine: no mistake of the recipe, and told all the same."""
    missing: dict[str, None] = {}
    for resolved in (profile.model, *profile.arms.values()):
        missing |= {thing.what: None for thing in missing_data(resolved.recipe)}
        for asked in asked_of_plugins(resolved.recipe):
            missing |= {f"benchmark {asked.name}: {role} {path}": None for role, path in asked.missing_files().items()}
    return list(missing)


def _remedies(profile: ResolvedProfile) -> list[str]:
    """Returns the commands that bring the files that are not on this machine; links and advice are left to `plan`."""
    commands: dict[str, None] = {}
    for resolved in (profile.model, *profile.arms.values()):
        for thing in (*missing_data(resolved.recipe), *missing_benchmark_files(resolved.recipe)):
            commands |= dict.fromkeys(line for line in thing.remedies if line.startswith(_COMMAND))
    return list(commands)


def _all_sizes(recipe: str, profiles: Sequence[ResolvedProfile]) -> list[dict[str, Sizes]]:
    """Returns per profile the derived sizes by arm (by "" without arms); parts that do not fit are errors."""
    problems: list[RecipeError] = []
    by_profile: list[dict[str, Sizes]] = []
    for profile in profiles:
        sizes: dict[str, Sizes] = {}
        for arm, resolved in (profile.arms or {"": profile.model}).items():
            try:
                sizes[arm] = derived_sizes(resolved)
            except CobraError as error:
                facts = [recipe, profile.recipe.profile and f"profile {profile.recipe.profile}", arm and f"arm {arm}"]
                where = ", ".join(filter(None, [*facts, error.where]))
                problems.append(RecipeError(error.message, where=where, hint=error.hint))
        by_profile.append(sizes)
    raise_problems(recipe, problems)
    return by_profile


def _profile_json(resolved: ResolvedProfile, derived: Mapping[str, Sizes]) -> dict[str, Any]:
    ablation = resolved.recipe.ablation
    plain: dict[str, Any] = {"profile": resolved.recipe.profile, "lock": resolved.model.lock()}
    if missing := _missing_files(resolved):
        plain["missing_files"] = missing
        plain["prepare"] = _remedies(resolved)
    if ablation is None:
        return plain | {"derived": plain_sizes(derived[""])}
    by_arm = arm_differences(resolved.arms, ablation.reference)
    arms = {
        arm: {"differs": [_difference_json(d) for d in by_arm[arm]], "derived": plain_sizes(derived[arm])}
        for arm in resolved.arms
    }
    lock = {name: version for arm in resolved.arms.values() for name, version in arm.lock().items()}
    return plain | {"lock": lock, "factor": list(ablation.factors), "reference": ablation.reference, "arms": arms}


def _difference_json(difference: SettingDifference) -> dict[str, Any]:
    sides = {"left": difference.left, "right": difference.right}
    return {"path": difference.path} | {side: value for side, value in sides.items() if value is not MISSING}


def _print_json(value: Any) -> None:
    typer.echo(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))


def _print(lines: Sequence[str]) -> None:
    typer.echo("\n".join(lines))
