"""Calls into the parts of a composed model: what a part raises names it, and what it returns keeps its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn

from cobra_kit._plugins import call_component
from cobra_kit._plugins.words import KIND_WORDS
from cobra_kit.errors import CobraError, PartError, first_line
from cobra_kit.interfaces import DecodeState, FusedSequence, LayoutBatch, TokenShape, VisualTokens
from cobra_kit.model.returned import expect, expect_tensor, expect_visual_tokens

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_MISFITS = (TypeError, ValueError, IndexError, KeyError, AttributeError)
"""What a part raises that is handed what it was not made for; torch's own is a plain RuntimeError."""

if TYPE_CHECKING:
    from cobra_kit.interfaces import Component as PartInterface
    from cobra_kit.model.multimodal_module import MultimodalModule
    from cobra_kit.plugin import Kind


def encode(model: MultimodalModule, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
    """Returns the encoder's tokens `[k n width]` of k images of one size."""
    part, title = model.vision_encoder, _title(model, "vision_encoder")
    tokens = _call(model, "vision_encoder", part, images, shapes)
    width, laid_out = getattr(part, "width", None), shapes[0] if shapes else None
    return expect_visual_tokens(tokens, len(shapes), width, part.forward, title, laid_out)


def project(model: MultimodalModule, tokens: VisualTokens, laid_out: TokenShape | None = None) -> VisualTokens:
    """Returns the projected tokens `[k m hidden_size]`, as many of each image as the batch's layout has."""
    part, title = model.projector, _title(model, "projector")
    projected = _call(model, "projector", part, tokens)
    width = model.backbone.hidden_size
    return expect_visual_tokens(projected, len(tokens.shapes), width, part.forward, title, laid_out)


def extra_embeddings(model: MultimodalModule) -> Tensor | None:
    """Returns the fusion scheme's own embeddings `[e hidden_size]`, or None where it has none."""
    method, title = model.fusion.extra_embeddings, _title(model, "fusion")
    own = _call(model, "fusion", method)
    return None if own is None else expect_tensor(own, (None, None), method, title, "[e d]")


def fuse(model: MultimodalModule, text: Tensor, visual: Tensor, layout: LayoutBatch) -> FusedSequence:
    """Returns the embeddings `[b s hidden_size]` of text `[t hidden_size]` and visual tokens `[v hidden_size]`."""
    part, title = model.fusion, _title(model, "fusion")
    sequence = expect(_call(model, "fusion", part, text, visual, layout), FusedSequence, part.forward, title)
    expect_tensor(sequence.embeddings, (*layout.source.shape, text.shape[-1]), part.forward, title, "[b s d]")
    return sequence


def embed(model: MultimodalModule, ids: Tensor) -> Tensor:
    """Returns the embeddings `[t hidden_size]` of ids `[t]`."""
    method = model.backbone.embed
    embedded = _call(model, "backbone", method, ids)
    return expect_tensor(embedded, (*ids.shape, model.backbone.hidden_size), method, _title(model, "backbone"), "[t d]")


def hidden_states(model: MultimodalModule, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
    """Returns the backbone's hidden states `[b s d]`, of the sequence alone where there is no state."""
    part = model.backbone
    arguments = (sequence,) if state is None else (sequence, state)
    hidden = _call(model, "backbone", part, *arguments)
    shape = tuple(sequence.embeddings.shape)
    return expect_tensor(hidden, shape, part.forward, _title(model, "backbone"), "[b s d]")


def logits(model: MultimodalModule, hidden: Tensor, *, whole: bool = False) -> Tensor:
    """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`.

    Args:
        model: The composed model.
        hidden: Normed hidden states `[.. d]` of the backbone.
        whole: Whether every id must have its logit, as a loss needs it; where one is chosen, some may be left out.
    """
    method = model.backbone.logits
    scores = _call(model, "backbone", method, hidden)
    shape = (*hidden.shape[:-1], model.backbone.vocab_size if whole else None)
    return expect_tensor(scores, shape, method, _title(model, "backbone"), "[.. vocab_size]")


def new_state(
    model: MultimodalModule, rows: int, max_length: int, *, device: torch.device, dtype: torch.dtype
) -> DecodeState:
    """Returns an empty state for `rows` rows of at most `max_length` tokens."""
    method = model.backbone.new_state
    state = _call(model, "backbone", method, rows, max_length, device=device, dtype=dtype)
    return expect(state, DecodeState, method, _title(model, "backbone"))


def step(model: MultimodalModule, embeddings: Tensor, state: DecodeState, *, by_call: bool = False) -> Tensor:
    """Advances every row by one token, in place: `[b d]` -> hidden states `[b d]`.

    Args:
        model: The composed model.
        embeddings: Embeddings of the new tokens, `[b d]`.
        state: What was read so far; it is advanced in place.
        by_call: Whether every module is called, since something is attached to one; see `decoding/attached.py`.
    """
    method = model.backbone.step_by_call if by_call else model.backbone.step
    hidden = _call(model, "backbone", method, embeddings, state)
    return expect_tensor(hidden, tuple(embeddings.shape), method, _title(model, "backbone"), "[b d]")


def blocks(model: MultimodalModule, kind: Kind, part: nn.Module) -> list[nn.Module]:
    """Returns the repeated units of a part."""
    method = cast("PartInterface", part).blocks
    units = _call(model, kind, method)
    title = _title(model, kind)
    return [expect(unit, nn.Module, method, title) for unit in expect(units, Iterable, method, title)]  # type: ignore[type-abstract]


def _call(
    model: MultimodalModule,
    kind: Kind,
    method: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Calls a method of a part; what goes wrong in it names the part.

    Raises:
        PluginError: It is a component's, and its own code raised.
        PartError: It was built, or put in, by hand, and cannot take what it is given.
    """
    component = model.component(kind)
    try:
        return call_component(component, method, *args, **kwargs)
    except CobraError:
        raise
    except Exception as error:
        # What is the machine's passes: out of memory and a device's own errors have classes of their own.
        if component is not None or not (isinstance(error, _MISFITS) or type(error) is RuntimeError):
            raise
        reason = first_line(error)
        raise PartError(
            f"{_title(model, kind)} cannot take what it is given: {type(error).__name__}: {reason}",
            hint="The parts of a model fit each other as its recipe composes them; a part that was put in by hand must "
            "keep the contract of its kind (docs/plugins.md).",
        ) from error


def _title(model: MultimodalModule, kind: Kind) -> str:
    component = model.component(kind)
    if component is not None:
        return component.title
    return f"the {KIND_WORDS[kind]} ({type(model.parts()[kind]).__name__})"
