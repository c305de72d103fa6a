"""The texts of `cobra-kit recipes`, readable at 80 columns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from cobra_kit import __version__, columns
from cobra_kit.cli.recipes_derived import Sizes, UnknownSizes
from cobra_kit.plugin import KINDS
from cobra_kit.recipe import ListedRecipe, ResolvedProfile, ResolvedRecipe, SettingDifference, arm_differences
from cobra_kit.recipe.diff import MISSING
from cobra_kit.recipe.not_built import NOT_BUILT


def listing(recipes: Sequence[ListedRecipe], limit: int | None) -> list[str]:
    """Returns one line per recipe, and where to go from there."""
    table = [(recipe.name, ", ".join(recipe.profiles) or "-", recipe.error or recipe.title) for recipe in recipes]
    lines = columns.rows([("recipe", "profiles", "title"), *table], flexible=2, indent="", limit=limit, header=True)
    missing = [
        columns.paragraph(f"Not built: {recipe.name}, {recipe.title}: {recipe.reason}.", indent="", limit=limit)
        for recipe in NOT_BUILT
    ]
    more = columns.paragraph("cobra-kit recipes show NAME prints one.", indent="", limit=limit)
    return [typer.style(lines[0], bold=True), *lines[1:], "", more, *missing]


def heading(resolved: ResolvedRecipe) -> str:
    """Returns the comment above a resolved recipe."""
    recipe = resolved.recipe
    facts = [recipe.name, recipe.profile and f"profile {recipe.profile}", resolved.arm and f"arm {resolved.arm}"]
    return f"# {', '.join(filter(None, facts))}, resolved by cobra-kit {__version__}"


def profile(resolved: ResolvedProfile, derived: Mapping[str, Sizes], limit: int | None) -> list[str]:
    """Returns what `validate` says about a recipe under one profile."""
    recipe, ablation = resolved.recipe, resolved.recipe.ablation
    lines = [typer.style(f"profile {recipe.profile}" if recipe.profile else "no profiles", bold=True)]
    if recipe.note:
        lines.append(columns.paragraph(recipe.note, indent="  ", limit=limit))
    if ablation is None:
        lines += columns.rows(
            [(kind, resolved.model.parts[kind].component.qualified) for kind in KINDS], flexible=1, limit=limit
        )
        return [*lines, *_derived({"": derived[""]}, limit)]
    seeds = ", ".join(map(str, ablation.seeds))
    facts = f"factor {' and '.join(ablation.factors)}; reference {ablation.reference}; seeds {seeds}"
    lines.append(columns.paragraph(facts, indent="  ", limit=limit))
    size = max(map(len, resolved.arms))
    for arm, changed in arm_differences(resolved.arms, ablation.reference).items():
        text = "; ".join(f"{d.path}: {format_value(d.left)} -> {format_value(d.right)}" for d in changed) or "reference"
        lines += _hanging(f"  {arm:<{size}}  ", text, limit)
    return [*lines, *_derived(derived, limit)]


def not_there(files: Sequence[str], commands: Sequence[str], limit: int | None) -> list[str]:
    """Returns the files that a recipe reads and that are not on this machine, one a line; nothing where all are.

    Args:
        files: What is missing.
        commands: What brings it.
        limit: The width of lines; None: as long as they are.
    """
    if not files:
        return []
    lines = ["  not on this machine, and needed before it is run:"]
    lines += [columns.paragraph(file, indent="    ", limit=limit) for file in files]
    if commands:
        lines.append("  each of these fetches files, or says what to put where:")
        lines += [f"    {command}" for command in commands]
    return lines


def comparison(
    left: ResolvedRecipe, right: ResolvedRecipe, changes: Sequence[SettingDifference], limit: int | None
) -> list[str]:
    """Returns the differences of two resolved recipes, each with both values and where they were written."""
    lines: list[str] = []
    for difference in changes:
        sides = [
            ("-", format_value(difference.left), _origin(left, difference.path, difference.left)),
            ("+", format_value(difference.right), _origin(right, difference.path, difference.right)),
        ]
        lines += [difference.path, *columns.rows(sides, flexible=1, limit=limit)]
    return lines or ["no difference"]


def format_value(value: Any) -> str:
    """Returns a setting's value as YAML would have it on one line."""
    if value is MISSING:
        return "(none)"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _origin(resolved: ResolvedRecipe, path: str, value: Any) -> str:
    if value is MISSING:
        return ""
    node = resolved.recipe.tree.get(*path.split("."))
    return "default" if node is None else str(node.origin)


def _derived(derived: Mapping[str, Sizes], limit: int | None) -> list[str]:
    """Returns the sizes that follow from the parts, and so are exempt from the comparison of arms."""
    known = {arm: sizes for arm, sizes in derived.items() if not isinstance(sizes, UnknownSizes)}
    lines = []
    if known:
        head = ("", "visual width", "image tokens", "projector", f"{'parameters':>13}")
        table = [
            (
                arm,
                str(sizes.visual_width),
                str(sizes.image_tokens),
                f"{sizes.visual_width} -> {sizes.hidden_size}",
                f"{sizes.parameters:>13,}",
            )
            for arm, sizes in known.items()
        ]
        lines += ["  derived, exempt:", *columns.rows([head, *table], flexible=0, limit=limit, header=True)]
    for arm, sizes in derived.items():
        if isinstance(sizes, UnknownSizes):
            text = f"derived sizes unknown: {sizes.unknown}"
            lines.append(columns.paragraph(f"{arm}: {text}" if arm else text, indent="  ", limit=limit))
    return lines


def _hanging(label: str, text: str, limit: int | None) -> list[str]:
    if limit is None:
        return [f"{label}{text}"]
    return textwrap.wrap(
        text,
        max(limit, len(label) + 20),
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )
