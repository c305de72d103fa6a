"""Batches of shapes: what a model is given where only sizes matter, made without a tokenizer and without images."""

from __future__ import annotations

from typing import cast

import torch
from PIL import Image

from cobra_kit._plugins import call_component
from cobra_kit.interfaces import IGNORE_INDEX, FusionScheme, Layout, PreparedImage, TextRow, VisionEncoder
from cobra_kit.model import Batch, VisionLanguageModel
from cobra_kit.model.batch import ImageGroup, supervised_targets, weigh_targets
from cobra_kit.model.returned import expect
from cobra_kit.recipe import ResolvedRecipe
from cobra_kit.text.collate import collate_layouts


def shape_batch(
    model: VisionLanguageModel,
    resolved: ResolvedRecipe,
    *,
    rows: int,
    text_tokens: int,
    supervised: int,
    images: int,
    group: ImageGroup | None,
) -> Batch:
    """Returns a batch of equal rows on the meta device.

    Args:
        model: The model, on the meta device.
        resolved: The recipe that it was composed from.
        rows: How many rows the batch has.
        text_tokens: Text tokens of each.
        supervised: How many of them, the last ones, carry loss.
        images: Images of each row, all of the largest size.
        group: `image_group(..)` of all of them; None where there are none.
    """
    fusion = resolved.parts["fusion"]
    scheme = cast("type[FusionScheme]", fusion.component.load_class())
    start = max(1, text_tokens - supervised)
    labels = (IGNORE_INDEX,) * start + (0,) * (text_tokens - start)
    row = TextRow((0,) * text_tokens, labels, (0,) * images, start, start)
    after = model.image_tokens()
    layout = call_component(fusion.component, scheme.layout, fusion.config, row, [after] * images)
    expect(layout, Layout, scheme.layout, fusion.component.title)
    batch = collate_layouts(
        [layout] * rows, text_lengths=[text_tokens] * rows, visual_lengths=[after.num_tokens * images] * rows
    )
    positions, targets = supervised_targets(batch)
    weights = weigh_targets(positions, "token")
    return Batch(
        text_ids=torch.zeros(rows * text_tokens, dtype=torch.int64),
        images=() if group is None else (group,),
        layout=batch,
        target_positions=positions,
        targets=targets,
        target_weights=weights,
        total_weight=float(weights.sum()),
    ).to("meta")


def image_group(resolved: ResolvedRecipe, count: int) -> ImageGroup:
    """Returns `count` prepared images on the meta device, of the size that a square image comes to."""
    part = resolved.parts["vision_encoder"]
    encoder = cast("type[VisionEncoder]", part.component.load_class())
    prepare = call_component(part.component, encoder.preprocess, part.config)
    prepared = call_component(part.component, prepare, Image.new("RGB", (512, 512)))
    expect(prepared, PreparedImage, prepare, part.component.title)
    tensors = {
        name: torch.empty(count, *tensor.shape, device="meta", dtype=tensor.dtype)
        for name, tensor in prepared.tensors.items()
    }
    return ImageGroup(tensors, None, prepared.shape, tuple(range(count)))
