"""An exported folder in transformers' hands: same tokens as our own, and clear words where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import exchange_reader
import pytest
import torch
from exchange_models import trained
from PIL import Image

import cobra_kit
from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.exchange import export_model
from cobra_kit.exchange.huggingface import locate
from cobra_kit.exchange.huggingface.folder import _write_tokenizer
from cobra_kit.exchange.huggingface.model import CobraKitConfig, CobraKitModel
from cobra_kit.exchange.huggingface.processor import CobraKitProcessor
from cobra_kit.interfaces import TextCodec
from cobra_kit.model.decoding import generate_ids
from cobra_kit.model.prompts import prompt_batches


def test_auto_model_gives_the_same_tokens_in_another_process(recipe_with, tmp_path):
    models = {
        str(tmp_path / projector.replace("/", "-")): trained(recipe_with(projector))
        for projector in ("mlp/fused", "ldpv2/fused")
    }
    for folder, model in models.items():
        assert export_model(model, format="huggingface", out=folder) == []
    image = tmp_path / "picture.png"
    Image.effect_noise((80, 60), 90).convert("RGB").save(image)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, exchange_reader.__file__, str(image), *models]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["without"].startswith("this model was exported by cobra-kit and needs it: pip install cobra-kit")
    for folder, model in models.items():
        [batch] = prompt_batches(model.processor, [image, None], exchange_reader.QUESTIONS, 2)
        eos = model.processor.codec.tokenizer.eos_id
        ours = generate_ids(model, batch, max_new_tokens=10, stop_ids=[eos])
        theirs = read[folder]["tokens"]
        assert [row[: len(own)] for row, own in zip(theirs, ours, strict=True)] == ours
        assert all(set(row[len(own) :]) <= {eos} for row, own in zip(theirs, ours, strict=True))
        assert max(map(len, ours)) > 1, "answers of one token would show little"
        asked = model.generate([image, None], exchange_reader.QUESTIONS, max_new_tokens=10)
        assert read[folder]["answers"] == asked
        assert read[folder]["question"] == model.processor.codec.tokenizer.encode(exchange_reader.QUESTIONS[0])
        assert (read[folder]["pad"], read[folder]["training"]) == (eos, False)
        assert read[folder]["dtypes"] == ["torch.float32", "torch.bfloat16"]
        assert read[folder]["logits"] == [2, max(batch.layout.lengths), model.backbone.vocab_size]


@pytest.fixture
def folder(model, tmp_path) -> Path:
    export_model(model, format="huggingface", out=tmp_path / "exported")
    return tmp_path / "exported"


def test_our_own_load_opens_the_folder_too(folder, model):
    loaded = cobra_kit.load(folder)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_saving_again_gives_the_same_files(folder, tmp_path):
    opened = CobraKitModel.from_pretrained(folder)
    opened.save_pretrained(tmp_path / "again")
    first, second = ({f.name: f.read_bytes() for f in path.iterdir()} for path in (folder, tmp_path / "again"))
    assert first == second


def test_what_it_cannot_do_is_refused(folder):
    model, processor = CobraKitModel.from_pretrained(folder), CobraKitProcessor.from_pretrained(folder)
    inputs = processor(text="What?")
    with pytest.raises(CobraError, match=r"generate of a cobra-kit model does not take do_sample, temperature\n"):
        model.generate(**inputs, do_sample=True, temperature=0.4)
    with pytest.raises(CobraError, match="needs the inputs that the folder's processor makes"):
        model.generate(input_ids=inputs["input_ids"])
    with pytest.raises(CobraError, match="from_pretrained of a cobra-kit model does not take quantization_config"):
        CobraKitModel.from_pretrained(folder, quantization_config=object())
    with pytest.raises(CobraError, match=r"is not built from its config\.json alone"):
        CobraKitModel(CobraKitConfig.from_pretrained(folder))
    with pytest.raises(CobraError, match="no floating-point dtype named 'int8'"):
        CobraKitModel.from_pretrained(folder, dtype="int8")
    with pytest.raises(CobraError, match="device_map names 2 devices"):
        CobraKitModel.from_pretrained(folder, device_map={"": "cpu", "backbone": "cuda"})
    with pytest.raises(CobraError, match="return_tensors must be 'pt'"):
        processor(text="What?", return_tensors="np")


def test_devices_and_dtypes_that_it_takes(folder):
    for device_map in ("cpu", {"": "cpu"}, torch.device("cpu")):
        assert CobraKitModel.from_pretrained(folder, device_map=device_map, dtype="auto").dtype == torch.float32
    assert CobraKitModel.from_pretrained(folder, torch_dtype=torch.float64).dtype == torch.float64


def test_a_hub_repository_is_fetched(folder, monkeypatch):
    def fetched(repository, *, patterns, revision, where):
        assert (repository, list(patterns), revision) == ("someone/their-cobra", ["*"], "v2")
        return folder

    monkeypatch.setattr(locate, "hub_folder", fetched)
    assert CobraKitModel.from_pretrained("someone/their-cobra", revision="v2").model.recipe.recipe.title == "Exchange"


@pytest.mark.parametrize("name", ["model.safetensors", "recipe.yaml"])
def test_an_incomplete_folder(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=f"is not a saved model: {name} not found"):
        CobraKitModel.from_pretrained(folder)


@pytest.mark.parametrize("begin", ["", "<s>"])
def test_the_tokenizer_s_files_say_what_begins_and_ends_a_text(model, tmp_path, begin):
    codec = model.processor.codec
    template = replace(codec.template, begin_of_text=begin)
    assert _write_tokenizer(TextCodec(codec.tokenizer, template, codec.max_text_tokens), tmp_path) == []
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (settings["eos_token"], settings["pad_token"]) == ("<|endoftext|>", "<|endoftext|>")
    assert (settings.get("bos_token"), settings.get("add_bos_token")) == ((begin, True) if begin else (None, None))


def test_a_tokenizer_without_a_definition_is_said(model, tmp_path, monkeypatch):
    monkeypatch.delattr(type(model.processor.codec.tokenizer), "definition")
    [note] = export_model(model, format="huggingface", out=tmp_path / "exported")
    assert note.startswith("no tokenizer.json")
    assert not (tmp_path / "exported" / "tokenizer.json").exists()
