"""What one writes the other reads, to the last bit, under the names that the authors' files have."""

from __future__ import annotations

import json

import pytest
import torch
from exchange_models import AUTHORS_BACKBONE, AUTHORS_PROJECTOR, MM_PROJECTOR, trained
from safetensors.torch import load_file
from torch import nn

import cobra_kit
from cobra_kit.exchange import FORMATS, export_model, import_checkpoint
from cobra_kit.exchange.layouts import COBRA
from cobra_kit.exchange.parts import described
from cobra_kit.exchange.published import tensors_of
from cobra_kit.model import VisionLanguageModel, compose

PROJECTORS = ("mlp/fused", "ldpv2/fused")
PROJECTOR_FORMATS = ("prismatic", "llava", "projector")


def same(first: nn.Module, second: nn.Module) -> bool:
    left, right = first.state_dict(), second.state_dict()
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("projector", PROJECTORS)
def test_cobra_there_and_back(projector, recipe_with, tmp_path):
    recipe = recipe_with(projector)
    model = trained(recipe)
    notes = export_model(model, format="cobra", out=tmp_path / "theirs")
    assert notes == ["not in this form: the vision encoder; whoever reads it brings siglip/tiny's weights"]
    notes = import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours")
    assert notes == [
        f"{tmp_path / 'theirs' / 'checkpoints' / 'latest-checkpoint.pt'}: format cobra",
        f"projector: {projector}, taken from the checkpoint",
        "backbone: mamba/tiny, taken from the checkpoint",
        "vision encoder: siglip/tiny, random from the recipe's seed (weights: none)",
    ]
    assert same(cobra_kit.load(tmp_path / "ours"), model)
    again = cobra_kit.load(tmp_path / "ours")
    export_model(again, format="cobra", out=tmp_path / "theirs again")
    name = "checkpoints/latest-checkpoint.pt"
    first, second = (torch.load(tmp_path / f / name, weights_only=True) for f in ("theirs", "theirs again"))
    assert first.keys() == second.keys() == {"model"}
    for part, tensors in first["model"].items():
        assert all(torch.equal(tensor, second["model"][part][key]) for key, tensor in tensors.items())


@pytest.mark.parametrize("form", PROJECTOR_FORMATS)
@pytest.mark.parametrize("projector", PROJECTORS)
def test_a_projector_there_and_back(projector, form, recipe_with, tmp_path):
    recipe = recipe_with(projector)
    model = trained(recipe)
    assert export_model(model, format=form, out=tmp_path / "theirs") == []
    notes = import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours")
    assert notes[:2] == [notes[0], f"projector: {projector}, taken from the checkpoint"]
    assert notes[0].endswith(f": format {form}")
    loaded = cobra_kit.load(tmp_path / "ours")
    assert same(loaded.projector, model.projector)
    assert same(loaded.backbone, compose(recipe).backbone), "the rest keeps the recipe's own weights"


def test_half_precision_survives(model, recipe, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    half = cobra_kit.load(tmp_path / "saved", dtype=torch.bfloat16)
    export_model(half, format="huggingface", out=tmp_path / "half")
    loaded = VisionLanguageModel.from_pretrained(tmp_path / "half")
    assert same(loaded, half)
    assert loaded.projector.projector[0].weight.dtype == torch.bfloat16
    assert loaded.backbone.backbone.layers[0].mixer.A_log.dtype == torch.float32  # never quantised
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize("projector", PROJECTORS)
def test_the_authors_names(projector, recipe_with, tmp_path):
    model = compose(recipe_with(projector))
    export_model(model, format="cobra", out=tmp_path / "theirs")
    written = torch.load(tmp_path / "theirs" / "checkpoints" / "latest-checkpoint.pt", weights_only=True)["model"]
    assert list(written) == ["projector", "llm_backbone"]
    assert set(written["projector"]) == AUTHORS_PROJECTOR[projector]
    assert set(written["llm_backbone"]) == AUTHORS_BACKBONE
    llm = written["llm_backbone"]
    assert llm["llm.lm_head.weight"].data_ptr() == llm["llm.backbone.embedding.weight"].data_ptr(), "tied, stored once"
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert config["model"] == {
        "model_id": projector.replace("/", "_"),
        "arch_specifier": {"mlp/fused": "fused-gelu-mlp", "ldpv2/fused": "fused-ldpnet"}[projector],
        "vision_backbone_id": "siglip/tiny",
        "llm_backbone_id": "mamba/tiny",
        "image_resize_strategy": "resize-naive",
        "llm_max_length": 2048,
    }


def test_the_authors_checkpoint_at_full_size():
    """PAPER.md 2.2: what is trained, and stored, of Cobra-3B: 2,816,135,168 numbers, a tied head counted once."""
    model = compose("cobra_3b", profile="paper", device="meta")
    tensors = tensors_of(model, COBRA)
    numbers = {id(tensor): tensor.numel() for tensor in tensors.values()}
    assert len(tensors) == 6 + 3 + 64 * 10
    assert sum(numbers.values()) == 2_816_135_168
    assert described(model.recipe) == {
        "model_id": "cobra_3b",
        "arch_specifier": "fused-gelu-mlp",
        "vision_backbone_id": "dinosiglip-vit-so-384px",
        "llm_backbone_id": "mamba-2.8b-zephyr",
        "image_resize_strategy": "resize-naive",
        "llm_max_length": 2048,
    }


@pytest.mark.parametrize("projector", MM_PROJECTOR)
def test_llava_s_and_mobilevlm_s_names(projector, recipe_with, tmp_path):
    model = trained(recipe_with(projector))
    export_model(model, format="llava", out=tmp_path / "theirs")
    written = torch.load(tmp_path / "theirs" / "mm_projector.bin", weights_only=True)
    assert set(written) == {f"model.mm_projector.{name}" for name in MM_PROJECTOR[projector]}


@pytest.mark.parametrize("prefix", ["mm_projector.", "model.mm_projector.", "base_model.model.model.mm_projector."])
def test_a_projector_inside_a_whole_llava(prefix, recipe_with, tmp_path):
    recipe = recipe_with("mlp/gelu")
    model = trained(recipe)
    layers = {f"{prefix}{name.removeprefix('projector.')}": t for name, t in model.projector.state_dict().items()}
    torch.save({**layers, "model.layers.0.mlp.up_proj.weight": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    notes = import_checkpoint(tmp_path / "pytorch_model.bin", recipe=recipe, out=tmp_path / "ours")
    assert "left out: 1 tensors of other parts" in notes
    assert same(cobra_kit.load(tmp_path / "ours").projector, model.projector)


def test_a_prismatic_checkpoint_with_another_language_model(model, recipe, tmp_path):
    """Independent of our writer: the nested mapping that Prismatic's training saves, in a run folder."""
    run = tmp_path / "prism-dinosiglip+7b"
    (run / "checkpoints").mkdir(parents=True)
    llama = {"llm.model.embed_tokens.weight": torch.ones(4, 4), "llm.lm_head.weight": torch.ones(4, 4)}
    content = {"model": {"projector": model.projector.state_dict(), "llm_backbone": llama}}
    torch.save(content, run / "checkpoints" / "latest-checkpoint.pt")
    says = {"arch_specifier": "no-align+fused-gelu-mlp", "llm_backbone_id": "llama2-7b-pure", "llm_max_length": 4096}
    (run / "config.json").write_text(json.dumps({"model": says}))
    notes = import_checkpoint(run, recipe=recipe, format="prismatic", out=tmp_path / "ours")
    assert "left out: 2 tensors of other parts" in notes
    assert same(cobra_kit.load(tmp_path / "ours").projector, model.projector)


def test_an_align_checkpoint_has_no_language_model(model, recipe, tmp_path):
    torch.save({"model": {"projector": model.projector.state_dict()}}, tmp_path / "step-002180-epoch-00-loss=2.1.pt")
    notes = import_checkpoint(
        tmp_path / "step-002180-epoch-00-loss=2.1.pt", recipe=recipe, format="cobra", out=tmp_path / "ours"
    )
    assert "backbone: mamba/tiny, random from the recipe's seed (weights: none)" in notes
    assert notes[-1] == "no config.json describes the checkpoint's parts: only names and shapes were compared"
    loaded = cobra_kit.load(tmp_path / "ours")
    assert same(loaded.projector, model.projector)
    assert same(loaded.backbone, compose(recipe).backbone)


def test_the_projector_s_file_says_what_it_is(model, tmp_path):
    from cobra_kit.weights import load_metadata

    export_model(model, format="projector", out=tmp_path / "alone")
    file = tmp_path / "alone" / "projector.safetensors"
    assert load_metadata(file)["component"] == "mlp/fused"
    assert set(load_file(file)) == AUTHORS_PROJECTOR["mlp/fused"]


def test_what_was_imported_is_written_down(model, recipe, tmp_path):
    export_model(model, format="cobra", out=tmp_path / "theirs")
    import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours")
    record = json.loads((tmp_path / "ours" / "imported.json").read_text())
    assert (record["format"], record["file"]) == ("cobra", "latest-checkpoint.pt")
    assert record["config"]["model"]["arch_specifier"] == "fused-gelu-mlp"


def test_every_format_has_what_it_names():
    from cobra_kit.exchange.formats import referenced, writer_of
    from cobra_kit.exchange.layouts import CheckpointLayout

    for name, form in FORMATS.items():
        assert form.name == name
        assert callable(writer_of(form))
        assert (form.layout is None) == (form.reads is None)
        assert form.layout is None or isinstance(referenced(form.layout), CheckpointLayout)
