"""The kernels that the backbones of a recipe, or one backbone, would use on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch

from cobra_kit._plugins import Component, attributed, call_component, contained, default_registry
from cobra_kit._plugins.words import one_line
from cobra_kit.errors import CobraError, PluginError, text_of
from cobra_kit.interfaces import Backbone
from cobra_kit.model.device import device_named, dtype_named
from cobra_kit.model.kernels import KernelGroup, kernels_on
from cobra_kit.recipe import load_recipe, resolve, resolve_arms


@dataclass(frozen=True, slots=True)
class ModelKernels:
    """The kernels of one backbone.

    Args:
        name: Name of the component.
        device: The device that it would run on.
        dtype: Floating-point type of its weights.
        groups: The kernels; empty where the backbone says nothing about them.
        problem: Why it cannot say, or None.
    """

    name: str
    device: str
    dtype: str
    groups: tuple[KernelGroup, ...]
    problem: str | None = None


def models_asked(
    recipe: str | None,
    *,
    backbone: str | None,
    profile: str | None,
    overrides: Sequence[str],
    device: str,
    dtype: str | None,
) -> list[ModelKernels]:
    """Returns the kernels of each backbone that was asked about; arguments and errors as `examine` has them."""
    place = device_named(device)
    kind = dtype_named(dtype or "float32", place)
    wanted: list[tuple[Component, Any]] = []
    if recipe is not None:
        wanted += _of_recipe(recipe, profile, overrides)
    if backbone is not None:
        component = default_registry().get("backbone", backbone)
        wanted.append((component, _default_config(component)))
    return [_kernels(component, config, place, kind) for component, config in wanted]


def _of_recipe(recipe: str, profile: str | None, overrides: Sequence[str]) -> list[tuple[Component, Any]]:
    """Returns the backbones of a recipe, those of all its arms, equal ones once."""
    loaded = load_recipe(recipe, profile=profile, overrides=overrides)
    arms = resolve_arms(loaded) if loaded.ablation is not None else {"model": resolve(loaded)}
    parts: dict[str, tuple[Component, Any]] = {}
    for resolved in arms.values():
        part = resolved.parts["backbone"]
        parts.setdefault(f"{part.component.qualified} {part.config!r}", (part.component, part.config))
    return list(parts.values())


def _default_config(component: Component) -> Any:
    from pydantic import ValidationError

    model = component.load_config()

    def default() -> Any:
        try:
            return model()
        except ValidationError as error:
            raise PluginError(
                f"{component.title} has settings without a default",
                hint=f"Ask about a recipe that uses it. {error.errors()[0]['msg']}: {error.errors()[0]['loc']}",
            ) from error

    return call_component(component, default)


def _kernels(component: Component, config: Any, device: torch.device, dtype: torch.dtype) -> ModelKernels:
    named = component.qualified, str(device), str(dtype).removeprefix("torch.")
    try:
        with attributed((component,)), contained(0):
            cls = cast("type[Backbone]", component.load_class())
            with torch.device("meta"):
                module = call_component(component, cls, config)
            groups = call_component(component, partial(kernels_on, module, device, dtype))
    except CobraError as error:
        return ModelKernels(*named, groups=(), problem=" ".join(text_of(error).split()))
    except Exception as error:
        return ModelKernels(*named, groups=(), problem=f"it failed to build: {one_line(error)}")
    return ModelKernels(*named, groups=tuple(groups))
