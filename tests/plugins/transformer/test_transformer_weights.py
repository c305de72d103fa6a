"""Weights and tokenizers of published models: folders as transformers writes them, the hub's cache, what is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from fake_hub import fill_cache, use_cache
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, PreTrainedModel

from cobra_kit.errors import TextError, WeightsError
from cobra_kit.text.tokenizer import SMALL_TOKENIZER_FILE, small_tokenizer
from cobra_kit_transformer.architecture import transformers_config
from cobra_kit_transformer.hf import HfBackbone
from cobra_kit_transformer.hf_config import DecoderConfig, HfConfig, Phi2Config, Pythia2800mConfig, Vicuna7bConfig

TINY = HfConfig.tiny().settings


def load(config: DecoderConfig) -> HfBackbone:
    with torch.device("meta"):
        backbone = HfBackbone(config)
    backbone.to_empty(device="cpu")
    backbone.reset_parameters(torch.Generator().manual_seed(0))
    backbone.load_pretrained()
    return backbone.eval()


def write(folder: Path, model_type: str, *, shard: str = "20KB", **settings: Any) -> PreTrainedModel:
    """A random model in the form that transformers publishes."""
    config = HfConfig(settings={**TINY, "model_type": model_type, **settings}, weights="none")
    torch.manual_seed(3)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(transformers_config(config))
    model.save_pretrained(folder, max_shard_size=shard)
    return model


def files(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir()}


def check_same(backbone: HfBackbone, model: PreTrainedModel) -> None:
    theirs = model.state_dict()
    own = backbone.state_dict()
    assert set(theirs) - set(own) == ({backbone.tied_head} if backbone.tied_head else set())
    assert all(torch.equal(value, theirs[name]) for name, value in own.items())


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("gpt_neox", {}),
        ("phi", {}),
        ("gpt2", {}),
        ("gemma", {"head_dim": 16, "num_key_value_heads": 1}),
        ("opt", {"ffn_dim": 72, "word_embed_proj_dim": 64}),
        ("cohere", {}),
    ],
)
def test_a_folder_as_transformers_writes_it(tmp_path: Path, model_type: str, settings: dict[str, Any]) -> None:
    model = write(tmp_path, model_type, **settings)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    check_same(load(HfConfig(model=str(tmp_path))), model)
    elsewhere = HfConfig(settings={**TINY, "model_type": model_type, **settings}, weights=str(tmp_path))
    check_same(load(elsewhere), model)


def test_a_config_alone_builds_without_weights(tmp_path: Path) -> None:
    write(tmp_path, "llama")
    for path in tmp_path.glob("*.safetensors*"):
        path.unlink()
    with torch.device("meta"):
        backbone = HfBackbone(HfConfig(model=str(tmp_path)))
    assert (backbone.hidden_size, backbone.vocab_size) == (64, 960)
    with pytest.raises(WeightsError, match="the folder holds no checkpoint"):
        load(HfConfig(model=str(tmp_path)))


def test_older_checkpoints_of_pythia(tmp_path: Path) -> None:
    """A pickle, with the head's old name and with masks and frequencies stored."""
    model = write(tmp_path / "new", "gpt_neox")
    tensors = {name.replace("lm_head.", "embed_out."): tensor for name, tensor in model.state_dict().items()}
    for layer in range(2):
        prefix = f"gpt_neox.layers.{layer}.attention"
        tensors[f"{prefix}.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool)
        tensors[f"{prefix}.masked_bias"] = torch.tensor(-1e9)
        tensors[f"{prefix}.rotary_emb.inv_freq"] = torch.ones(2)
    (tmp_path / "old").mkdir()
    shutil.copy(tmp_path / "new" / "config.json", tmp_path / "old")
    torch.save(tensors, tmp_path / "old" / "pytorch_model.bin")
    check_same(load(HfConfig(model=str(tmp_path / "old"))), model)


def test_a_head_of_half_precision_is_converted(tmp_path: Path) -> None:
    model = write(tmp_path, "llama").to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    for path in tmp_path.glob("model-*"):
        path.unlink()
    (tmp_path / "model.safetensors.index.json").unlink()
    backbone = load(HfConfig(model=str(tmp_path)))
    assert {tensor.dtype for tensor in backbone.parameters()} == {torch.float32}
    check_same(backbone, model.float())


@pytest.mark.parametrize(
    ("config", "repository"),
    [
        (Pythia2800mConfig, "EleutherAI/pythia-2.8b"),
        (Phi2Config, "microsoft/phi-2"),
        (Vicuna7bConfig, "lmsys/vicuna-7b-v1.5"),
    ],
)
@pytest.mark.parametrize("form", ["safetensors", "bin", "both"])
def test_published_weights_come_from_the_hubs_cache(
    config: type[DecoderConfig], repository: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.published is not None
    model = write(tmp_path / "made", config.published.settings["model_type"], shard="1GB", **_own(config))
    made = files(tmp_path / "made")
    pickle = tmp_path / "pytorch_model.bin"
    torch.save(model.state_dict(), pickle)
    there = {"config.json": made["config.json"]}
    if form in ("safetensors", "both"):
        there["model.safetensors"] = made["model.safetensors"]
    if form == "bin":
        there["pytorch_model.bin"] = pickle
    if form == "both":
        there["pytorch_model.bin"] = tmp_path / "broken.bin"
        (tmp_path / "broken.bin").write_bytes(b"nothing")
    fill_cache(tmp_path / "hub", repository, there)
    use_cache(monkeypatch, tmp_path / "hub")
    check_same(load(config(settings=TINY_SIZES, weights="hub")), model)


TINY_SIZES = {name: value for name, value in TINY.items() if name != "model_type"}


def _own(config: type[DecoderConfig]) -> dict[str, Any]:
    """The published settings, shrunk."""
    assert config.published is not None
    return {**{n: v for n, v in config.published.settings.items() if n != "model_type"}, **TINY_SIZES}


def test_any_repository_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write(tmp_path / "made", "llama", shard="1GB")
    shutil.copy(_small_file(), tmp_path / "made" / "tokenizer.json")
    fill_cache(tmp_path / "hub", "somebody/something", files(tmp_path / "made"))
    use_cache(monkeypatch, tmp_path / "hub")
    config = HfConfig(model="somebody/something")
    check_same(load(config), model)
    assert HfBackbone.text_codec(config).tokenizer == small_tokenizer()


def test_without_a_network_it_says_what_it_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache(monkeypatch, tmp_path)
    with pytest.raises(WeightsError) as caught:
        load(Pythia2800mConfig(settings=TINY_SIZES))
    text = str(caught.value)
    for words in ("EleutherAI/pythia-2.8b: weights: hub", "model.safetensors", "HF_HUB_OFFLINE", "weights: PATH"):
        assert words in text, words
    with pytest.raises(
        WeightsError, match=r"transformer/hf: nobody/nothing: wanted config\.json of the hub repository"
    ):
        HfBackbone(HfConfig(model="nobody/nothing"))
    with pytest.raises(TextError, match=r"no tokenizer: .*microsoft/phi-2"):
        HfBackbone.text_codec(Phi2Config())


def test_every_tensor_that_does_not_fit_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "llama", shard="1GB", hidden_size=32)
    with pytest.raises(WeightsError) as caught:
        load(HfConfig(model=str(tmp_path), settings={"hidden_size": 64}))
    assert "of another shape" in str(caught.value)
    with pytest.raises(WeightsError, match=r"(?s)missing.*layers\.2\.") as caught:
        load(HfConfig(model=str(tmp_path), settings={"num_hidden_layers": 3}))
    with pytest.raises(WeightsError, match=r"(?s)extra.*layers\.1\."):
        load(HfConfig(model=str(tmp_path), settings={"num_hidden_layers": 1}))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "llama", shard="1GB")
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(WeightsError, match=r"(?s)model\.safetensors.*truncated"):
        load(HfConfig(model=str(tmp_path)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no config.json can be read"),
        ("{", "not JSON"),
        ("[]", "says no model_type"),
        ('{"model_type": 3}', "says no model_type"),
    ],
)
def test_a_folder_with_a_bad_config(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(WeightsError, match=message) as caught:
        HfBackbone(HfConfig(model=str(tmp_path)))
    assert "config.json" in str(caught.value)


def test_configs_that_name_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="name a model"):
        HfConfig()
    with pytest.raises(ValidationError, match="weights: hub needs a model"):
        HfConfig(settings={"model_type": "llama"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Phi2Config.model_validate({"model": "x"})
    with pytest.raises(ValidationError, match="'chat', 'base', 'vicuna-v1'"):
        Phi2Config.model_validate({"template": "phi"})


def _small_file() -> Path:
    from importlib.resources import files as resources

    return Path(str(resources("cobra_kit.text").joinpath(SMALL_TOKENIZER_FILE)))


def llama_tokenizer(folder: Path) -> Path:
    """A tokenizer of LLaMA's form: a blank is written before every text, blanks are `▁`, bytes are spelled out."""
    words = ["<unk>", "<s>", "</s>", "▁"]
    words += sorted({*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:'?-0123456789", "<0x0A>"})
    definition = {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": words[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for i in range(3)
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
            "vocab": {word: i for i, word in enumerate(words)}, "merges": [],
        },
    }  # fmt: skip
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(definition), encoding="utf-8")
    return file


def test_a_llama_tokenizer_reads_the_whole_prompt_as_if_in_one_piece(tmp_path: Path) -> None:
    """Turn by turn the ids are those of LLaVA's prompt, encoded in one go."""
    file = llama_tokenizer(tmp_path)
    codec = HfBackbone.text_codec(Vicuna7bConfig(tokenizer=str(tmp_path)))
    turns = [("What is it?", "A red circle."), ("How large?", "0.5")]
    segments = codec.template.render(turns, for_generation=False)
    ids = [i for segment in segments for i in codec.tokenizer.encode(segment.text)]
    whole = (  # haotian-liu/LLaVA at 053c284, conv_vicuna_v1
        "<s>A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions. "
        "USER: What is it? ASSISTANT: A red circle.</s>USER: How large? ASSISTANT: 0.5</s>"
    )
    assert ids == tokenizers.Tokenizer.from_file(str(file)).encode(whole, add_special_tokens=False).ids
    assert codec.tokenizer.eos_id == 2


def test_byte_level_tokenizers_too(tmp_path: Path) -> None:
    codec = HfBackbone.text_codec(Phi2Config(tokenizer=str(_small_file())))
    segments = codec.template.render([("What is it?", "red"), ("Why?", "It is.")], for_generation=False)
    ids = [i for segment in segments for i in codec.tokenizer.encode(segment.text)]
    assert ids == codec.tokenizer.encode("".join(segment.text for segment in segments))


def test_marks_of_a_tokenizer_come_from_its_folder_or_the_config(tmp_path: Path) -> None:
    llama_tokenizer(tmp_path)
    write(tmp_path, "llama")
    about = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    template: Any = HfBackbone.text_codec(HfConfig(model=str(tmp_path), template="vicuna-v1")).template
    assert (template.begin_of_text, template.end_of_text, template.blank) == ("<s>", "</s>", "")
    template = HfBackbone.text_codec(HfConfig(model=str(tmp_path), begin_of_text="")).template
    assert (template.begin_of_text, template.end_of_text) == ("", "</s>")
    with pytest.raises(TextError, match="no token '<end>'"):
        HfBackbone.text_codec(HfConfig(model=str(tmp_path), end_of_text="<end>"))


def test_tokenizers_that_are_missing_or_too_large(tmp_path: Path) -> None:
    write(tmp_path, "llama", vocab_size=100)
    with pytest.raises(TextError, match=r"no tokenizer\.json beside the model") as caught:
        HfBackbone.text_codec(HfConfig(model=str(tmp_path)))
    assert "sentencepiece" in str(caught.value)
    shutil.copy(_small_file(), tmp_path / "tokenizer.json")
    ids = small_tokenizer().vocab_size
    with pytest.raises(TextError, match=f"the tokenizer has {ids} ids, the embedding 100 rows"):
        HfBackbone.text_codec(HfConfig(model=str(tmp_path)))
    with pytest.raises(TextError, match="no such tokenizer"):
        HfBackbone.text_codec(Phi2Config(tokenizer=str(tmp_path / "gone")))
