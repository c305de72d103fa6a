"""The parts of a model as the authors' `config.json` names them and as a recipe does. Imports no torch.

A component says itself what it is called there (`prismatic_id`; for ours, from cobra/models/materialize.py and
cobra/conf/models.py of h-zhao1997/cobra at eb0294d, which Prismatic shares). One that has no such id goes by its own
name, `plugin/component`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cobra_kit._plugins import Component, default_registry
from cobra_kit.errors import WeightsError
from cobra_kit.formatting import printable
from cobra_kit.plugin import Kind

if TYPE_CHECKING:
    from cobra_kit.recipe import ResolvedRecipe

_LONGEST = 200  # letters of a value in a message
_KINDS: Mapping[str, Kind] = {
    "vision_backbone_id": "vision_encoder",
    "arch_specifier": "projector",
    "llm_backbone_id": "backbone",
}
_RESIZE = {"naive": "resize-naive", "crop": "resize-crop", "letterbox": "letterbox"}
_SETTINGS = {
    "vision_backbone_id": "model.vision_encoder.use",
    "arch_specifier": "model.projector.use",
    "llm_backbone_id": "model.backbone.use",
    "image_resize_strategy": "model.vision_encoder.resize",
    "llm_max_length": "model.backbone.max_text_tokens",
}
PROJECTOR_KEYS = ("arch_specifier", "vision_backbone_id")
"""What must agree where only the projector is taken."""


def described(recipe: ResolvedRecipe) -> dict[str, Any]:
    """Returns a recipe's parts as the section `model` of the authors' `config.json` has them."""
    parts = recipe.parts
    encoder, backbone = parts["vision_encoder"], parts["backbone"]
    description: dict[str, Any] = {
        "model_id": recipe.recipe.name,
        **{key: _id(parts[kind].component) for key, kind in _KINDS.items()},
    }
    resize = getattr(encoder.config, "resize", None)
    if resize in _RESIZE:
        description["image_resize_strategy"] = _RESIZE[resize]
    length = getattr(backbone.config, "max_text_tokens", None)
    if length is not None:
        description["llm_max_length"] = length
    return description


def check_description(given: Mapping[str, Any], recipe: ResolvedRecipe, *, keys: tuple[str, ...], where: str) -> None:
    """Compares what a checkpoint says it is made of with a recipe.

    Args:
        given: The section `model` of its `config.json`; keys that it lacks are not compared.
        recipe: The recipe that it is compared with.
        keys: Which keys must agree; none: all that both have.
        where: The file, for the message.

    Raises:
        WeightsError: They differ; the message names every key, both values, and the settings that would agree.
    """
    wanted = described(recipe)
    compared = [key for key in (keys or tuple(_SETTINGS)) if key in given and key in wanted]
    differing = [key for key in compared if _plain(key, given[key]) != wanted[key]]
    if not differing:
        return
    lines = [f"{key}: {_shown(given[key])} in the checkpoint, {wanted[key]} in the recipe" for key in differing]
    settings = [
        f"--set {shlex.quote(f'{_SETTINGS[key]}={value}')}" for key in differing if (value := _setting(key, given[key]))
    ]
    lines.append(
        f"To compose what the checkpoint has: {' '.join(settings)}" if settings else "Choose the recipe it belongs to."
    )
    if not keys:
        lines.append("To take its projector alone: --format prismatic")
    raise WeightsError("the checkpoint has other parts than the recipe", where=where, hint="\n".join(lines))


def _id(component: Component) -> str:
    return component.spec.prismatic_id or component.qualified


def _plain(key: str, value: Any) -> Any:
    # `no-align+fused-gelu-mlp`: what stands before the plus says how it was trained, not what it is.
    return value.rpartition("+")[2] if key == "arch_specifier" and isinstance(value, str) else value


def _shown(value: Any) -> str:
    return printable(value if isinstance(value, str) else repr(value), _LONGEST)


def _setting(key: str, value: Any) -> Any:
    """Returns how a recipe writes what `config.json` says, or None where it cannot."""
    plain = _plain(key, value)
    if not isinstance(plain, str | int) or _shown(plain) != str(plain):
        return None
    if key == "image_resize_strategy":
        return next((ours for ours, theirs in _RESIZE.items() if theirs == plain), None)
    if key not in _KINDS:
        return plain
    known = {_id(component): component.qualified for component in default_registry().components(_KINDS[key])}
    return known.get(plain) if isinstance(plain, str) else None
