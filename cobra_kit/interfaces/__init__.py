"""The interfaces plugin authors *implement*: the four contracts of components, and those of extensions.

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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cobra_kit.interfaces.benchmark import (
        Benchmark,
        BenchmarkFactory,
        BenchmarkProtocol,
        ImageReader,
        OpenBenchmark,
        Question,
    )
    from cobra_kit.interfaces.components import (
        Backbone,
        Component,
        FusionScheme,
        KernelReport,
        PretrainedFile,
        Projector,
        VisionEncoder,
    )
    from cobra_kit.interfaces.data_source import (
        DataSource,
        DataSourceFactory,
        HeldOutSplit,
        PlacedRow,
        RowStream,
        SourceSample,
        Split,
        TextForm,
        TrainingRow,
        used_images,
    )
    from cobra_kit.interfaces.decode_state import DecodeState
    from cobra_kit.interfaces.layout import (
        EXTRA,
        IGNORE_INDEX,
        TEXT,
        VISUAL,
        FusedSequence,
        Layout,
        LayoutBatch,
        TextRow,
    )
    from cobra_kit.interfaces.precision import full_precision
    from cobra_kit.interfaces.pretraining import (
        AbilityProbe,
        BackbonePretraining,
        EncoderPretraining,
        Probe,
        TextProbes,
    )
    from cobra_kit.interfaces.public_set import PublicFile, PublicSet
    from cobra_kit.interfaces.scoring_rule import Answered, QuestionScore, Rule, Summary
    from cobra_kit.interfaces.submission import OfficialFiles, ScoredFiles, Submitted
    from cobra_kit.interfaces.text import PromptTemplate, TemplateSegment, TextCodec, Tokenizer
    from cobra_kit.interfaces.tokens import EncoderSizes, PreparedImage, TokenShape, VisualTokens
    from cobra_kit.interfaces.tracker import Tracker

_HOMES = {
    "benchmark": (
        "Benchmark",
        "BenchmarkFactory",
        "BenchmarkProtocol",
        "ImageReader",
        "OpenBenchmark",
        "Question",
    ),
    "components": (
        "Backbone",
        "Component",
        "FusionScheme",
        "KernelReport",
        "PretrainedFile",
        "Projector",
        "VisionEncoder",
    ),
    "data_source": (
        "DataSource",
        "DataSourceFactory",
        "HeldOutSplit",
        "PlacedRow",
        "RowStream",
        "SourceSample",
        "Split",
        "TextForm",
        "TrainingRow",
        "used_images",
    ),
    "decode_state": ("DecodeState",),
    "layout": (
        "EXTRA",
        "IGNORE_INDEX",
        "TEXT",
        "VISUAL",
        "FusedSequence",
        "Layout",
        "LayoutBatch",
        "TextRow",
    ),
    "precision": ("full_precision",),
    "pretraining": (
        "AbilityProbe",
        "BackbonePretraining",
        "EncoderPretraining",
        "Probe",
        "TextProbes",
    ),
    "public_set": ("PublicFile", "PublicSet"),
    "scoring_rule": (
        "Answered",
        "QuestionScore",
        "Rule",
        "Summary",
    ),
    "submission": (
        "OfficialFiles",
        "ScoredFiles",
        "Submitted",
    ),
    "text": (
        "PromptTemplate",
        "TemplateSegment",
        "TextCodec",
        "Tokenizer",
    ),
    "tokens": (
        "EncoderSizes",
        "PreparedImage",
        "TokenShape",
        "VisualTokens",
    ),
    "tracker": ("Tracker",),
}
"""The names of each module. Those of the four contracts import torch, those about data and scores do not."""

__all__ = [
    "AbilityProbe",
    "Answered",
    "Backbone",
    "BackbonePretraining",
    "Benchmark",
    "BenchmarkFactory",
    "BenchmarkProtocol",
    "Component",
    "DataSource",
    "DataSourceFactory",
    "DecodeState",
    "EXTRA",
    "EncoderPretraining",
    "EncoderSizes",
    "FusedSequence",
    "FusionScheme",
    "HeldOutSplit",
    "IGNORE_INDEX",
    "ImageReader",
    "KernelReport",
    "Layout",
    "LayoutBatch",
    "OfficialFiles",
    "OpenBenchmark",
    "PlacedRow",
    "PreparedImage",
    "PretrainedFile",
    "Probe",
    "Projector",
    "PromptTemplate",
    "PublicFile",
    "PublicSet",
    "Question",
    "QuestionScore",
    "RowStream",
    "Rule",
    "ScoredFiles",
    "SourceSample",
    "Split",
    "Submitted",
    "Summary",
    "TEXT",
    "TemplateSegment",
    "TextCodec",
    "TextForm",
    "TextProbes",
    "TextRow",
    "TokenShape",
    "Tokenizer",
    "Tracker",
    "TrainingRow",
    "VISUAL",
    "VisionEncoder",
    "VisualTokens",
    "full_precision",
    "used_images",
]


def __getattr__(name: str) -> Any:
    """Returns a public name, importing its module on first use (PEP 562)."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
