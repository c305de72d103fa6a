"""A backbone alone as a model that the training core takes: the parts that deal with images are there and blind.

Components of plugins are not asked for: which ones are installed must not decide what a backbone reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

import torch
from PIL.Image import Image
from torch import Tensor

from cobra_kit._plugins import Component, call_component
from cobra_kit.errors import TextError
from cobra_kit.interfaces import (
    TEXT,
    Backbone,
    FusionScheme,
    Layout,
    PreparedImage,
    Projector,
    TextCodec,
    TextRow,
    TokenShape,
    VisionEncoder,
    VisualTokens,
)
from cobra_kit.model import Processor, VisionLanguageModel


class BlindEncoder(VisionEncoder):
    """An encoder without parameters that takes no image."""

    width = 1

    def __init__(self, config: None = None) -> None:
        super().__init__(config)

    @classmethod
    def preprocess(cls, config: None) -> Callable[[Image], PreparedImage]:
        """Returns what refuses every image."""
        return _refuse

    @classmethod
    def max_shape(cls, config: None) -> TokenShape:
        """Returns the smallest shape that there is; no image has it."""
        return TokenShape(1)

    def forward(self, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
        """Refuses every image."""
        _refuse()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Does nothing: there are no parameters."""


class BlindProjector(Projector):
    """A projector without parameters, for no visual tokens."""

    def __init__(self, config: None = None, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)

    @classmethod
    def output_shape(cls, config: None, shape: TokenShape) -> TokenShape:
        """Returns the shape."""
        return shape

    def forward(self, tokens: VisualTokens) -> VisualTokens:
        """Refuses every token."""
        _refuse()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Does nothing: there are no parameters."""


class TextAlone(FusionScheme):
    """A scheme that lays out text as it stands."""

    def __init__(self, config: None = None, *, hidden_size: int) -> None:
        super().__init__(config, hidden_size=hidden_size)

    @classmethod
    def layout(cls, config: None, text: TextRow, images: Sequence[TokenShape]) -> Layout:
        """Returns every token of the text, in order."""
        if images:
            _refuse()
        return Layout([TEXT] * len(text.ids), range(len(text.ids)), text.labels)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Does nothing: there are no parameters."""


def text_model(backbone: Backbone, component: Component, codec: TextCodec) -> VisionLanguageModel:
    """Returns a model that reads text with a backbone.

    Args:
        backbone: The backbone, its weights in place.
        component: The component that it is.
        codec: Its tokenizer and template.
    """
    shape = BlindEncoder.max_shape(None)

    def processor() -> Processor:
        return Processor(codec, _refuse, _same, _laid_out)

    return VisionLanguageModel(
        BlindEncoder(),
        BlindProjector(in_width=BlindEncoder.width, max_shape=shape, out_width=backbone.hidden_size),
        TextAlone(hidden_size=backbone.hidden_size),
        backbone,
        processor=processor,
        components={"backbone": component.qualified},
    )


def codec_of(component: Component, config: Any) -> TextCodec:
    """Returns tokenizer and template of a backbone's component."""
    cls = cast("type[Backbone]", component.load_class())
    return call_component(component, cls.text_codec, config)


def _same(shape: TokenShape) -> TokenShape:
    return shape


def _laid_out(text: TextRow, images: Sequence[TokenShape]) -> Layout:
    return TextAlone.layout(None, text, images)


def _refuse(*_: object) -> NoReturn:
    raise TextError("this model reads text alone, and was given a picture")
