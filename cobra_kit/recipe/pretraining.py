"""Recipes that pretrain one part of a model: which part it is, and the recipe with its component found. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

import pydantic_core
from pydantic import BaseModel

from cobra_kit._plugins import Component, Extension, Registry, default_registry
from cobra_kit._plugins.words import KIND_WORDS
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.formatting import either
from cobra_kit.plugin import Kind
from cobra_kit.recipe.check import validate
from cobra_kit.recipe.locate import RecipeSource, find_recipe, pretraining_recipes
from cobra_kit.recipe.overrides import apply_overrides
from cobra_kit.recipe.parts import ResolvedPart, validate_config
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.renamed import with_new_keys
from cobra_kit.recipe.tree import Node
from cobra_kit.recipe.yaml_reader import parse_yaml

Form = TypeVar("Form", bound=BaseModel)

PRETRAINED_PARTS: tuple[Kind, ...] = ("vision_encoder", "backbone")
"""The sections by which a recipe says what it pretrains; it has one of them."""

_SHIPPED: Mapping[Kind, str] = {"vision_encoder": "towers/siglip_tiny", "backbone": "backbones/mamba_tiny_chat"}


@dataclass(frozen=True, slots=True)
class PretrainingRecipe(Generic[Form]):
    """A recipe that pretrains one part, checked.

    Args:
        name: The recipe's name.
        recipe: The settings of the recipe file.
        part: The part's component, and its settings, defaults included.
        task: The pretraining task that it is.
    """

    name: str
    recipe: Form
    part: ResolvedPart
    task: Extension

    @property
    def component(self) -> Component:
        """Returns the part's component."""
        return self.part.component

    @property
    def config(self) -> BaseModel:
        """Returns the part's settings, defaults included."""
        return self.part.config


def pretrained_part(source: str | Path, *, overrides: Sequence[str] = (), registry: Registry | None = None) -> Kind:
    """Returns which part a recipe pretrains, by the section that it has.

    Args:
        source: A path, or a packaged name such as `backbones/mamba_tiny_chat`.
        overrides: `a.b=c` settings, applied all at once.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: The recipe is missing or malformed, or has none or several of the sections.
    """
    file, tree = _read(source, overrides, registry or default_registry())
    sections = [kind for kind in PRETRAINED_PARTS if tree.get(kind) is not None]
    if len(sections) == 1:
        return sections[0]
    if sections:
        origin = tree.origin_of((sections[1],))
        text, hint = f"it has {' and '.join(sections)}, and one recipe pretrains one part", "Make two recipes of it."
    else:
        origin = tree.origin
        text = f"nothing to pretrain: it has no section {' or '.join(PRETRAINED_PARTS)}"
        hint = f"Recipes of models are trained by `cobra-kit run`; {' and '.join(_SHIPPED.values())} pretrain a part."
    raise RecipeError(text, where=str(origin) or file.display, hint=hint)


def load_pretraining(
    form: type[Form],
    kind: Kind,
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
) -> PretrainingRecipe[Form]:
    """Returns what a pretraining recipe asks for, its component found and its settings complete.

    Args:
        form: The form of the recipe, without the sections of its task; its section that is named like `kind` has the
            component.
        kind: The part that it pretrains.
        source: A path, or a packaged name.
        overrides: `a.b=c` settings, applied all at once.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: The recipe is missing or malformed; names every mistake with its line.
    """
    registry = registry or default_registry()
    file, tree = _read(source, overrides, registry)
    # Problems are gathered and raised together, so that a user mends a file once and not line by line.
    task = _task(kind, tree, registry)
    recipe, problems = validate(_with_sections(form, task), tree, ())
    component, config = None, None
    use = tree.get(kind, "use")
    if use is not None and isinstance(use.value, str):
        try:
            component = registry.get(kind, use.value)
            config, more = validate_config(component, component.load_config(), tree, (kind,))
            problems += more
        except PluginError as error:
            problems.append(problem(tree, (kind, "use"), error.message, error.hint))
    raise_problems(file.display, problems)
    assert recipe is not None
    assert component is not None
    assert config is not None
    return PretrainingRecipe(file.name, recipe, ResolvedPart(component, config), task)


def recipe_hash(recipe: BaseModel) -> str:
    """Returns a hash of a pretraining recipe's settings, by which an unfinished run is known to be its own.

    The name of the task is no part of it, and `train` comes last: hashes of before there were tasks stay what they are.
    """
    names = [*(name for name in type(recipe).model_fields if name not in ("task", "train")), "train"]
    return hashlib.sha256(pydantic_core.to_json({name: getattr(recipe, name) for name in names})).hexdigest()


def _task(kind: Kind, tree: Node, registry: Registry) -> Extension:
    """Returns the task that a recipe names, or the only one of its kind of part."""
    named = tree.get("task")
    if named is not None and isinstance(named.value, str):
        try:
            return registry.pretraining(named.value)
        except PluginError as error:
            raise problem(tree, ("task",), error.message, error.hint) from error
    words = KIND_WORDS[kind]
    tasks = [task for task in registry.extensions("pretraining") if getattr(task.spec, "part", "") == kind]
    if len(tasks) == 1:
        registry.check_conflict(tasks[0].plugin)
        return tasks[0]
    if tasks:
        names = [task.qualified for task in tasks]
        raise RecipeError(
            f"several tasks pretrain a {words}: {either(names)}",
            where=str(tree.origin),
            hint=f"Name the one that is meant, such as `task: {names[0]}`.",
        )
    hint = "cobra-kit plugins list --broken shows plugins that failed to load."
    raise RecipeError(f"no installed plugin pretrains a {words}", where=str(tree.origin), hint=hint)


def _with_sections(form: type[Form], task: Extension) -> type[Form]:
    """Returns a form with the sections of its task."""
    return cast("type[Form]", type(form.__name__, (task.load_config(), form), {"__doc__": form.__doc__}))


def _read(source: str | Path, overrides: Sequence[str], registry: Registry) -> tuple[RecipeSource, Node]:
    file = find_recipe(source, registry=registry, packaged=pretraining_recipes())
    tree = with_new_keys(parse_yaml(file.read(), file.display))
    return file, apply_overrides(tree, overrides)
