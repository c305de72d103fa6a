"""Sizes that no recipe states because they follow from its parts; known from the meta device, without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from cobra_kit.errors import NotFinishedError
from cobra_kit.recipe import ResolvedRecipe


@dataclass(frozen=True, slots=True)
class DerivedSizes:
    """What follows from the parts of one model.

    Args:
        visual_width: Channels of a visual token before the projector.
        encoder_tokens: Tokens of the largest image before the projector.
        image_tokens: Tokens of the largest image after it.
        hidden_size: Width of the backbone.
        parameters: Of the whole model, tied ones counted once.
        unknown: Why there are no sizes, where a part cannot be built in this version.
    """

    visual_width: int = 0
    encoder_tokens: int = 0
    image_tokens: int = 0
    hidden_size: int = 0
    parameters: int = 0
    unknown: str | None = None

    def plain(self) -> dict[str, Any]:
        """Returns the sizes as plain data, or why there are none."""
        if self.unknown is not None:
            return {"unknown": self.unknown}
        names = ("visual_width", "encoder_tokens", "image_tokens", "hidden_size", "parameters")
        return {name: getattr(self, name) for name in names}


def derived_sizes(resolved: ResolvedRecipe) -> DerivedSizes:
    """Returns the derived sizes of a model; a part that is registered but not finished leaves them unknown.

    Raises:
        PluginError: A component cannot be loaded.
        ShapeError: Two parts do not fit.
    """
    for part in resolved.parts.values():
        if part.component.spec.unfinished:
            return DerivedSizes(unknown=f"{part.component.qualified} is not finished yet")
    from cobra_kit.interfaces import Projector, VisionEncoder
    from cobra_kit.model import compose

    try:
        model = compose(resolved, device="meta")
    except NotFinishedError as error:
        return DerivedSizes(unknown=error.message)
    encoder, projector = resolved.parts["vision_encoder"], resolved.parts["projector"]
    before = cast("type[VisionEncoder]", encoder.component.load_class()).max_shape(encoder.config)
    after = cast("type[Projector]", projector.component.load_class()).output_shape(projector.config, before)
    return DerivedSizes(
        visual_width=model.vision_encoder.width,
        encoder_tokens=before.num_tokens,
        image_tokens=after.num_tokens,
        hidden_size=model.backbone.hidden_size,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
