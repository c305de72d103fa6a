"""Calls into the parts of a composed model: what a part raises names it, and what it returns keeps its contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from cobra_kit._plugins import call_component
from cobra_kit.interfaces import DecodeState, FusedSequence, LayoutBatch, TokenShape, VisualTokens
from cobra_kit.model.returned import expect, expect_tensor, expect_visual_tokens

if TYPE_CHECKING:
    from cobra_kit.interfaces import Component as PartInterface
    from cobra_kit.model.vision_language_model import VisionLanguageModel
    from cobra_kit.plugin import Kind


def encode(model: VisionLanguageModel, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
    """Returns the encoder's tokens `[k n width]` of k images of one size."""
    part, component = model.vision_encoder, model.component("vision_encoder")
    tokens = call_component(component, part, images, shapes)
    return expect_visual_tokens(
        tokens, len(shapes), getattr(part, "width", None), part.forward, _title(model, "vision_encoder")
    )


def project(model: VisionLanguageModel, tokens: VisualTokens) -> VisualTokens:
    """Returns the projected tokens `[k m hidden_size]`."""
    part, component = model.projector, model.component("projector")
    projected = call_component(component, part, tokens)
    return expect_visual_tokens(
        projected, len(tokens.shapes), model.backbone.hidden_size, part.forward, _title(model, "projector")
    )


def fuse(model: VisionLanguageModel, text: Tensor, visual: Tensor, layout: LayoutBatch) -> FusedSequence:
    """Returns the embeddings `[b s hidden_size]` of text `[t hidden_size]` and visual tokens `[v hidden_size]`."""
    part, title = model.fusion, _title(model, "fusion")
    sequence = expect(
        call_component(model.component("fusion"), part, text, visual, layout), FusedSequence, part.forward, title
    )
    expect_tensor(sequence.embeddings, (*layout.source.shape, text.shape[-1]), part.forward, title, "[b s d]")
    return sequence


def embed(model: VisionLanguageModel, ids: Tensor) -> Tensor:
    """Returns the embeddings `[t hidden_size]` of ids `[t]`."""
    method = model.backbone.embed
    embedded = call_component(model.component("backbone"), method, ids)
    return expect_tensor(embedded, (*ids.shape, model.backbone.hidden_size), method, _title(model, "backbone"), "[t d]")


def hidden_states(model: VisionLanguageModel, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
    """Returns the backbone's hidden states `[b s d]`, of the sequence alone where there is no state."""
    part = model.backbone
    arguments = (sequence,) if state is None else (sequence, state)
    hidden = call_component(model.component("backbone"), part, *arguments)
    shape = tuple(sequence.embeddings.shape)
    return expect_tensor(hidden, shape, part.forward, _title(model, "backbone"), "[b s d]")


def logits(model: VisionLanguageModel, hidden: Tensor, *, whole: bool = False) -> Tensor:
    """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`.

    Args:
        model: The composed model.
        hidden: Hidden states.
        whole: Whether every id must have its logit, as a loss needs it; where one is chosen, some may be left out.
    """
    method = model.backbone.logits
    scores = call_component(model.component("backbone"), method, hidden)
    shape = (*hidden.shape[:-1], model.backbone.vocab_size if whole else None)
    return expect_tensor(scores, shape, method, _title(model, "backbone"), "[.. vocab_size]")


def new_state(
    model: VisionLanguageModel, rows: int, max_length: int, *, device: torch.device, dtype: torch.dtype
) -> DecodeState:
    """Returns an empty state for `rows` rows of at most `max_length` tokens."""
    method = model.backbone.new_state
    state = call_component(model.component("backbone"), method, rows, max_length, device=device, dtype=dtype)
    return expect(state, DecodeState, method, _title(model, "backbone"))


def step(model: VisionLanguageModel, embeddings: Tensor, state: DecodeState) -> Tensor:
    """Advances every row by one token, in place: `[b d]` -> hidden states `[b d]`."""
    method = model.backbone.step
    hidden = call_component(model.component("backbone"), method, embeddings, state)
    return expect_tensor(hidden, tuple(embeddings.shape), method, _title(model, "backbone"), "[b d]")


def blocks(model: VisionLanguageModel, kind: Kind, part: nn.Module) -> list[nn.Module]:
    """Returns the repeated units of a part."""
    method = cast("PartInterface", part).blocks
    units = call_component(model.component(kind), method)
    title = _title(model, kind)
    return [expect(unit, nn.Module, method, title) for unit in expect(units, Iterable, method, title)]  # type: ignore[type-abstract]


def _title(model: VisionLanguageModel, kind: Kind) -> str:
    component = model.component(kind)
    return component.title if component is not None else f"the model's {kind}"
