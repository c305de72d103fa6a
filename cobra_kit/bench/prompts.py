"""The prompts that are timed: the paper's, or any number of text and visual tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from cobra_kit.bench.settings import PAPER_QUESTION
from cobra_kit.errors import CobraError
from cobra_kit.interfaces import IGNORE_INDEX, Projector, TextRow, TokenShape, VisualTokens
from cobra_kit.model import Batch, CachedFeatures, PreparedRow, VisionLanguageModel
from cobra_kit.model.multimodal_module import Composition

_SIDE = 512
_SEED = 7


@dataclass(frozen=True, slots=True)
class Prompt:
    """A batch of prompts and the model that reads it.

    Args:
        model: The model; where visual tokens are given instead of an image, with a projector that lets them through.
        batch: The collated prompts, on the model's device.
        text_tokens: Text tokens of each row.
        visual_tokens: Visual tokens of each row.
    """

    model: VisionLanguageModel
    batch: Batch
    text_tokens: int
    visual_tokens: int

    @property
    def context(self) -> int:
        """Returns the tokens of each row, those of the fusion scheme included."""
        return self.batch.layout.max_length


def paper_prompt(model: VisionLanguageModel) -> Prompt:
    """Returns one image with the paper's question (arXiv 2403.14520v4, section 4.3), through the model's template."""
    row = model.processor.row([(PAPER_QUESTION, None)], [noise_image()], for_generation=True)
    return _prompt(model, [row])


def prompt(model: VisionLanguageModel, *, rows: int, text_tokens: int, image_tokens: int | None) -> Prompt:
    """Returns equal prompts of random ids.

    Args:
        model: The model that reads them, in eval mode.
        rows: How many prompts the batch has.
        text_tokens: Text tokens of each.
        image_tokens: Visual tokens of each; 0: no image; None: an image, encoded and projected by the model.

    Raises:
        CobraError: The fusion scheme cannot place so many visual tokens.
    """
    images: list[Any] = []
    if image_tokens is None:
        images = [model.processor.preprocess(noise_image())]
    elif image_tokens:
        model = _without_projector(model)
        values = torch.randn(image_tokens, model.backbone.hidden_size, generator=torch.Generator().manual_seed(_SEED))
        images = [CachedFeatures(values, _shape(image_tokens))]
    draw = torch.Generator().manual_seed(_SEED)
    ids = torch.randint(model.processor.codec.tokenizer.vocab_size, (text_tokens,), generator=draw).tolist()
    text = TextRow(tuple(ids), (IGNORE_INDEX,) * text_tokens, (0,) * len(images), text_tokens, text_tokens)
    shapes = [model.processor.output_shape(image.shape) for image in images]
    try:
        layout = model.processor.layout(text, shapes)
    except CobraError as error:
        message = f"{image_tokens} visual tokens do not fit: {error.message}"
        raise CobraError(message, where="--image-tokens", hint=error.hint) from error
    return _prompt(model, [PreparedRow(text, tuple(images), layout)] * rows)


def noise_image() -> Image.Image:
    """Returns the image that every model is shown: noise, since times do not depend on what is in it."""
    pixels = np.random.default_rng(_SEED).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _prompt(model: VisionLanguageModel, rows: list[PreparedRow]) -> Prompt:
    # Images of their own, since one that rows share would be projected once, and every prompt is to cost what it costs.
    apart = [replace(row, images=tuple(replace(image) for image in row.images)) for row in rows]
    batch = model.processor.collate(apart, for_generation=True).to(model.device)
    visual = sum(model.processor.output_shape(image.shape).num_tokens for image in rows[0].images)
    return Prompt(model, batch, len(rows[0].text.ids), visual)


def _shape(tokens: int) -> TokenShape:
    side = round(tokens**0.5)
    return TokenShape(tokens, (side, side) if side * side == tokens else None)


class _Through(Projector):
    """Lets visual tokens through that already have the backbone's width."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    @classmethod
    def output_shape(cls, config: Any, shape: TokenShape) -> TokenShape:
        return shape

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Has nothing to fill."""

    def forward(self, tokens: VisualTokens) -> VisualTokens:
        return tokens


def _without_projector(model: VisionLanguageModel) -> VisionLanguageModel:
    """Returns the same model, sharing its parts, with visual tokens let through instead of projected."""
    processor = replace(model.processor, output_shape=_unchanged)
    through = VisionLanguageModel(
        model.vision_encoder,
        _Through(),
        model.fusion,
        model.backbone,
        Composition(lambda: processor, model.components, model.recipe),
    )
    return through.eval().requires_grad_(False)


def _unchanged(shape: TokenShape) -> TokenShape:
    return shape
