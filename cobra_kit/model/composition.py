"""A recipe to a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from cobra_kit._plugins import attributed
from cobra_kit.arguments import text, whole_number
from cobra_kit.errors import CobraError
from cobra_kit.model.building import allocate_parts, build_parts
from cobra_kit.model.device import floating_dtype, usable_device
from cobra_kit.model.placement import part_dtypes
from cobra_kit.model.vision_language_model import VisionLanguageModel
from cobra_kit.recipe import Recipe, ResolvedRecipe, load_recipe, resolve, resolve_arms


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
    with attributed(part.component for part in resolved.parts.values()):
        modules = build_parts(resolved)
        if device.type != "meta":
            dtypes = part_dtypes(resolved.recipe, device, dtype, encoder_dtype)
            allocate_parts(modules, resolved, device, dtypes, seed=seed, pretrained=pretrained)
        model = VisionLanguageModel.of_parts(resolved, modules)
        if device.type != "meta":
            _ = model.processor  # a missing tokenizer is an error now, not at the first batch
    return model


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
