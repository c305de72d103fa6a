"""Recipes that pretrain one part of a model: which part it is, and the recipe with its component found. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from cobra_kit._plugins import Component, Registry, default_registry
from cobra_kit.errors import PluginError, RecipeError
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
    """

    name: str
    recipe: Form
    part: ResolvedPart

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
        form: The form of the recipe; its section that is named like `kind` has the component.
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
    recipe, problems = validate(form, tree, ())
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
    return PretrainingRecipe(file.name, recipe, ResolvedPart(component, config))


def _read(source: str | Path, overrides: Sequence[str], registry: Registry) -> tuple[RecipeSource, Node]:
    file = find_recipe(source, registry=registry, packaged=pretraining_recipes())
    tree = with_new_keys(parse_yaml(file.read(), file.display))
    return file, apply_overrides(tree, overrides)
