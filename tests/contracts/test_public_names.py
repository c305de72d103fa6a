"""What authors and users may import is frozen: removing or renaming a name is a decision, not an accident."""

from __future__ import annotations

import importlib

import pytest

FROZEN = {
    "cobra_kit": {
        "CobraError",
        "Recipe",
        "VisionLanguageModel",
        "__version__",
        "compose",
        "hookimpl",
        "load",
        "load_recipe",
        "run",
    },
    "cobra_kit.exchange": {"FORMATS", "Format", "export_model", "import_checkpoint"},
    "cobra_kit.interfaces": {
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
    },
    "cobra_kit.model": {
        "Batch",
        "CachedFeatures",
        "LossUnit",
        "PreparedRow",
        "Processor",
        "VisionLanguageModel",
        "compose",
        "processor_of",
    },
    "cobra_kit.weights": {
        "FILE_NAMES",
        "available_memory",
        "check_memory",
        "hub_file",
        "hub_folder",
        "load_into",
        "load_metadata",
        "load_packaged",
        "load_tensors",
        "save_tensors",
    },
}
HOOKS = {
    "cobra_diagnostics",
    "cobra_backbones",
    "cobra_fusion_schemes",
    "cobra_projectors",
    "cobra_recipes",
    "cobra_benchmarks",
    "cobra_data_sources",
    "cobra_scoring_rules",
    "cobra_trackers",
    "cobra_pretraining",
    "cobra_data_commands",
    "cobra_vision_encoders",
}


@pytest.mark.parametrize("module", FROZEN)
def test_public_names(module):
    imported = importlib.import_module(module)
    assert set(imported.__all__) == FROZEN[module]
    for name in imported.__all__:
        assert getattr(imported, name) is not None


def test_hooks():
    from cobra_kit.plugin import CobraHooks

    assert {name for name in vars(CobraHooks) if name.startswith("cobra_")} == HOOKS
