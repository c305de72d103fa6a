"""A recipe to a model: classes from plugins, dimensions from part to part, weights from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from cobra_kit._plugins import call_component, place_of
from cobra_kit.arguments import text, whole_number
from cobra_kit.errors import CobraError, PluginError, ShapeError, kind_of
from cobra_kit.interfaces import Backbone, FusionScheme, Projector, TokenShape, VisionEncoder
from cobra_kit.model.device import floating_dtype, usable_device
from cobra_kit.model.placement import part_dtypes, peak_bytes, place
from cobra_kit.model.processor import Processor, make_processor
from cobra_kit.model.returned import expect
from cobra_kit.model.seeding import part_generator
from cobra_kit.model.vision_language_model import VisionLanguageModel
from cobra_kit.recipe import Recipe, ResolvedPart, ResolvedRecipe, load_recipe, resolve, resolve_arms
from cobra_kit.weights import check_memory

if TYPE_CHECKING:
    from cobra_kit._plugins import Component as RegisteredComponent
    from cobra_kit.interfaces import Component, TextCodec
    from cobra_kit.plugin import Kind

_SIZES: dict[Kind, tuple[str, ...]] = {"vision_encoder": ("width",), "backbone": ("hidden_size", "vocab_size")}
"""The attributes of a part that size its neighbours."""


def compose(
    recipe: str | Path | Recipe | ResolvedRecipe,
    *,
    arm: str | None = None,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    encoder_dtype: torch.dtype | None = None,
    seed: int | None = None,
    pretrained: bool = True,
) -> VisionLanguageModel:
    """Returns the model that a recipe describes.

    Args:
        recipe: A recipe file or packaged name, or a loaded or resolved recipe.
        arm: Which arm of an ablation; None: the recipe's own model.
        profile: Which profile of the file; None: the recipe's default.
        overrides: `a.b=c` settings, as `--set` takes them.
        device: Where the weights go; `"meta"` builds shapes only and costs no memory.
        dtype: Floating-point type of the weights; None: float32. Parameters that a backbone lists as
            `never_quantise` stay float32.
        encoder_dtype: Floating-point type of the vision encoder; None: `dtype`, and where that is None too, bfloat16
            for one that is frozen and on a GPU.
        seed: Seed of random weights; None: the recipe's.
        pretrained: Whether to load the weights that components name.

    Raises:
        ArgumentError: An argument is no such thing, such as a device that torch does not know.
        RecipeError: The recipe is wrong.
        PluginError: A component cannot be found or loaded.
        ShapeError: Two parts do not fit.
        WeightsError: Weights cannot be loaded, or there is not enough memory for them.
    """
    device = usable_device(device)
    dtype = None if dtype is None else floating_dtype(dtype)
    encoder_dtype = None if encoder_dtype is None else floating_dtype(encoder_dtype, "encoder_dtype")
    if seed is not None:
        seed = whole_number(seed, "seed", at_least=0)
    resolved = _resolved(recipe, arm=arm, profile=profile, overrides=overrides)
    parts = resolved.parts
    backbone = cast("Backbone", _shapes(parts["backbone"]))
    encoder = cast("VisionEncoder", _shapes(parts["vision_encoder"]))
    projector = cast("Projector", _fit_projector(parts, encoder.width, backbone.hidden_size))
    fusion = cast("FusionScheme", _shapes(parts["fusion"], hidden_size=backbone.hidden_size))
    modules: dict[Kind, Component] = {
        "vision_encoder": encoder,
        "projector": projector,
        "fusion": fusion,
        "backbone": backbone,
    }
    if device.type != "meta":
        chosen = resolved.recipe.seed if seed is None else seed
        dtypes = part_dtypes(resolved.recipe, device, dtype, encoder_dtype)
        needed = peak_bytes(list(modules.values()), device, [dtypes[kind] for kind in modules])
        check_memory(needed, where=", ".join(part.component.qualified for part in parts.values()))
        for kind, module in modules.items():
            _fill(module, kind, parts[kind].component, chosen, pretrained=pretrained)
            place(module, device, dtypes[kind])
    model = VisionLanguageModel(
        encoder,
        projector,
        fusion,
        backbone,
        processor=partial(processor_of, resolved),
        components={kind: part.component.qualified for kind, part in parts.items()},
        recipe=resolved,
    )
    if device.type != "meta":
        _ = model.processor  # a missing tokenizer is an error now, not at the first batch
    return model


def processor_of(resolved: ResolvedRecipe, codec: TextCodec | None = None) -> Processor:
    """Returns the processor of a resolved recipe, without building any module.

    Args:
        resolved: The recipe.
        codec: Tokenizer and template; None: the backbone's own.
    """
    parts = resolved.parts
    kinds: tuple[Kind, ...] = ("vision_encoder", "projector", "fusion", "backbone")
    classes = tuple(parts[kind].component.load_class() for kind in kinds)
    configs = tuple(parts[kind].config for kind in kinds)
    return make_processor(
        cast("Any", classes), cast("Any", configs), codec, components={kind: parts[kind].component for kind in kinds}
    )


def _resolved(
    recipe: str | Path | Recipe | ResolvedRecipe,
    *,
    arm: str | None,
    profile: str | None,
    overrides: Sequence[str],
) -> ResolvedRecipe:
    if isinstance(recipe, Recipe | ResolvedRecipe) and (profile is not None or overrides):
        raise CobraError(
            "a loaded recipe has its profile and settings already", hint="Give them to load_recipe instead."
        )
    if isinstance(recipe, ResolvedRecipe):
        if arm not in (None, recipe.arm):
            raise CobraError("a resolved recipe is one arm already", hint=f"resolve_arms(...)[{arm!r}] is another.")
        return recipe
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, profile=profile, overrides=overrides)
    if arm is None:
        return resolve(loaded)
    arms = resolve_arms(loaded)
    if text(arm, "arm") not in arms:
        raise CobraError(f"no arm named {arm!r}", hint=f"The arms are {', '.join(arms) or 'none'}.")
    return arms[arm]


def _shapes(part: ResolvedPart, **dimensions: Any) -> Component:
    """Builds a part on the meta device; an error inside a plugin names the plugin."""
    cls = part.component.load_class()
    with torch.device("meta"):
        module = call_component(part.component, cls, part.config, **dimensions)
    for name in _SIZES.get(part.component.kind, ()):
        size = getattr(module, name, None)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise PluginError(
                f"{part.component.title}: {cls.__qualname__}.{name} is {kind_of(size)}, expected 1 or more",
                where=place_of(cls),
                hint=f"Set self.{name} in __init__; its author can mend it.",
            )
    return module


def _fit_projector(parts: Mapping[Kind, ResolvedPart], in_width: int, out_width: int) -> Component:
    encoder, projector = parts["vision_encoder"], parts["projector"]
    method = cast("type[VisionEncoder]", encoder.component.load_class()).max_shape
    max_shape = expect(
        call_component(encoder.component, method, encoder.config), TokenShape, method, encoder.component.title
    )
    announce = cast("type[Projector]", projector.component.load_class()).output_shape
    try:
        announced = call_component(projector.component, announce, projector.config, max_shape)
    except ShapeError as error:
        raise ShapeError(
            f"{projector.component.qualified} does not fit {encoder.component.qualified}: {error.message}",
            where=error.where,
            hint=error.hint,
        ) from error
    expect(announced, TokenShape, announce, projector.component.title)
    return _shapes(projector, in_width=in_width, max_shape=max_shape, out_width=out_width)


def _fill(module: Component, kind: Kind, component: RegisteredComponent, seed: int, *, pretrained: bool) -> None:
    module.to_empty(device="cpu")
    call_component(component, module.reset_parameters, part_generator(seed, kind, module))
    if pretrained:
        call_component(component, module.load_pretrained)
