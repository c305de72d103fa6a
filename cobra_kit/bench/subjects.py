"""The models measured side by side: the arms of a recipe, or a recipe and another one or another backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobra_kit._plugins import default_registry
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.recipe import Recipe, ResolvedRecipe, load_recipe, resolve, resolve_arms


@dataclass(frozen=True, slots=True)
class Subject:
    """One model to measure.

    Args:
        name: The name that tables call it by.
        resolved: What it is composed from.
    """

    name: str
    resolved: ResolvedRecipe

    @property
    def backbone(self) -> str:
        """Returns the backbone's qualified name."""
        return self.resolved.parts["backbone"].component.qualified


def subjects_of(
    recipe: str, *, profile: str | None = None, overrides: Sequence[str] = (), against: str | None = None
) -> tuple[Recipe, list[Subject]]:
    """Returns the recipe and its models: all arms of an ablation, else the one that it describes.

    Args:
        recipe: A file or a packaged name.
        profile: Name of the recipe's profile.
        overrides: `a.b=c` settings, as `--set` takes them.
        against: What to measure beside it: a recipe, or a backbone that replaces the recipe's own.

    Raises:
        RecipeError: A recipe is wrong.
        PluginError: A component is not there.
    """
    loaded = load_recipe(recipe, profile=profile, overrides=overrides)
    subjects = _models(loaded)
    if against is not None:
        backbone = _backbone_named(against)
        if backbone is not None:
            beside = load_recipe(recipe, profile=profile, overrides=[*overrides, f"model.backbone.use={backbone}"])
            own = (
                subjects
                if loaded.ablation is not None
                else [Subject(subject.backbone, subject.resolved) for subject in subjects]
            )
            subjects = [*own, Subject(backbone, resolve(beside))]
        else:
            subjects += _models(load_recipe(against, profile=profile))
    return loaded, _apart(subjects)


def _models(loaded: Recipe) -> list[Subject]:
    if loaded.ablation is None:
        return [Subject(loaded.name, resolve(loaded))]
    return [Subject(arm, resolved) for arm, resolved in resolve_arms(loaded).items()]


def _backbone_named(name: str) -> str | None:
    """Returns the qualified name of a backbone, or None where a recipe of that name or file is there.

    Raises:
        PluginError: Neither a backbone nor a recipe has that name.
    """
    try:
        return default_registry().get("backbone", name).qualified
    except PluginError as unknown:
        try:
            load_recipe(name)
        except RecipeError:
            raise PluginError(
                f"neither a recipe nor a backbone is named {name!r}", where="--against", hint=unknown.hint
            ) from None
        return None


def _apart(subjects: Sequence[Subject]) -> list[Subject]:
    """Returns the subjects with names that tell them apart."""
    counts: dict[str, int] = {}
    apart = []
    for subject in subjects:
        counts[subject.name] = counts.get(subject.name, 0) + 1
        name = subject.name if counts[subject.name] == 1 else f"{subject.name} ({counts[subject.name]})"
        apart.append(Subject(name, subject.resolved))
    return apart
