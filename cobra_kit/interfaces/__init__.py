"""The interfaces plugin authors *implement*: the four contracts and the values that flow between them.

The one idea: a fusion scheme lays out integers on the host, the device does one gather. So samplers, the data
check and cost estimates know every length without touching a model, and the core, never a plugin, batches, pads,
packs and decodes.

    image --VisionEncoder--> [k n d_vision] --Projector--> [k m hidden_size]
    text  --Backbone.embed--> [t hidden_size]          FusionScheme gathers both into [b s hidden_size]
    FusedSequence --Backbone--> hidden states [b s hidden_size] --Backbone.logits--> [.. vocab_size]

Letters in shapes: b rows, k images in the batch (not rows), n and m visual tokens, t text tokens, v visual tokens
of the whole batch, s fused length, d width, h w pixels.
"""

from __future__ import annotations

from cobra_kit.interfaces.components import (
    Backbone,
    Component,
    FusionScheme,
    KernelReport,
    PretrainedFile,
    Projector,
    VisionEncoder,
)
from cobra_kit.interfaces.decode_state import DecodeState
from cobra_kit.interfaces.layout import EXTRA, IGNORE_INDEX, TEXT, VISUAL, FusedSequence, Layout, LayoutBatch, TextRow
from cobra_kit.interfaces.precision import full_precision
from cobra_kit.interfaces.text import PromptTemplate, TemplateSegment, TextCodec, Tokenizer
from cobra_kit.interfaces.tokens import EncoderSizes, PreparedImage, TokenShape, VisualTokens

__all__ = [
    "Backbone",
    "Component",
    "DecodeState",
    "EXTRA",
    "EncoderSizes",
    "FusedSequence",
    "FusionScheme",
    "IGNORE_INDEX",
    "KernelReport",
    "Layout",
    "LayoutBatch",
    "PreparedImage",
    "PretrainedFile",
    "Projector",
    "PromptTemplate",
    "TEXT",
    "TemplateSegment",
    "TextCodec",
    "TextRow",
    "TokenShape",
    "Tokenizer",
    "VISUAL",
    "VisionEncoder",
    "VisualTokens",
    "full_precision",
]
