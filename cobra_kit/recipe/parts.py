"""The parts of a recipe against the installed plugins: components by name, their settings by their config."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from cobra_kit._plugins import Component, Registry, call_component, name_of, place_of
from cobra_kit._plugins.words import one_line
from cobra_kit.errors import PluginError, RecipeError, kind_of
from cobra_kit.plugin import KINDS, Kind
from cobra_kit.recipe.check import validate
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.tree import Node, PathKeys

MAX_SIZE = 10_000_000
"""Of a whole number among a component's settings: widths, depths, vocabularies are far below."""


@dataclass(frozen=True, slots=True)
class ResolvedPart:
    """One part of a model: the component that was found, and its validated config, defaults included."""

    component: Component
    config: BaseModel

    def plain(self) -> dict[str, Any]:
        """Returns the part as a recipe writes it, nothing left to defaults."""
        dump = self.config.model_dump
        settings: object = call_component(self.component, dump, mode="json")
        try:
            json.dumps(settings)
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"{name_of(dump)} gave what is no JSON: {one_line(error)}"
            raise PluginError(f"{self.component.title}: {problem}", where=place_of(dump)) from error
        if not isinstance(settings, dict):
            problem = f"{name_of(dump)} gave {kind_of(settings)}, expected a mapping"
            raise PluginError(f"{self.component.title}: {problem}", where=place_of(dump))
        return {"use": self.component.qualified, **settings}


def check_parts(tree: Node, registry: Registry) -> list[RecipeError]:
    """Returns what is wrong with the parts that a recipe names, whatever else is wrong with it."""
    return [
        error for kind in KINDS if tree.get("model", kind, "use") for error in resolve_part(tree, kind, registry)[1]
    ]


def resolve_part(tree: Node, kind: Kind, registry: Registry) -> tuple[ResolvedPart | None, list[RecipeError]]:
    """Returns one part, or None and what is wrong with it.

    Args:
        tree: The merged recipe.
        kind: The kind of component that the part is.
        registry: The registry that components are looked up in.
    """
    path = ("model", kind)
    use = tree.get(*path, "use")
    if use is None or not isinstance(use.value, str):
        return None, []  # the schema has said so
    try:
        component = registry.get(kind, use.value)
        model = component.load_config()
    except PluginError as error:
        return None, [problem(tree, (*path, "use"), error.message, error.hint)]
    config, problems = validate_config(component, model, tree, path)
    if config is None or (problems := _giants(config, tree, path)):
        return None, problems
    return ResolvedPart(component, config), []


def _giants(config: BaseModel, tree: Node, path: PathKeys) -> list[RecipeError]:
    """Returns what is wrong with whole numbers that no tensor can have: torch would fail on them in its own words."""
    return [
        problem(tree, (*path, name), f"expected at most {MAX_SIZE:,}, found {value:,}")
        for name, value in config.__dict__.items()
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SIZE and name != "seed"
    ]


def validate_config(
    component: Component, model: type[BaseModel], tree: Node, path: PathKeys
) -> tuple[BaseModel | None, list[RecipeError]]:
    """Returns the settings at a path as a component's config, or None and what is wrong with them.

    Args:
        component: The component that the config belongs to.
        model: The config's model.
        tree: The merged recipe, as a tree of nodes.
        path: Where `use` and the settings stand.
    """
    try:
        # pydantic gathers ValueErrors; whatever else a validator raises comes through.
        config, problems = call_component(component, partial(validate, model, tree, path, without=("use",)))
        if not problems and not isinstance(config, model):
            raise PluginError(
                f"{component.title}: validating {model.__qualname__} gave {kind_of(config)}, expected its config",
                where=place_of(model),
                hint="A validator of a whole model returns the model (`return self`); its author can mend it.",
            )
        return config, problems
    except PluginError as error:
        return None, [problem(tree, path, str(error))]
