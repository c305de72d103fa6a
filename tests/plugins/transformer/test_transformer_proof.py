"""A backbone proves itself on a small copy before it is built; scaled embeddings and logits are honoured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rounding import check_same
from torch import Tensor
from torch.nn import functional as F
from transformer_checks import SMALL, check_contract, check_packing
from transformers import AutoConfig, AutoModelForCausalLM, Mamba2Config

from cobra_kit.errors import PluginError, ShapeError
from cobra_kit_transformer import proof
from cobra_kit_transformer.architecture import transformers_config
from cobra_kit_transformer.causal import CausalBackbone
from cobra_kit_transformer.config import TransformerTinyConfig
from cobra_kit_transformer.decoder import DecoderBackbone
from cobra_kit_transformer.hf import HfBackbone
from cobra_kit_transformer.hf_config import (
    DecoderConfig,
    HfConfig,
    MobileLlama2700mConfig,
    Phi2Config,
    Pythia2800mConfig,
    Vicuna7bConfig,
)
from cobra_kit_transformer.shrink import WINDOW, parameters_of, shrink
from cobra_kit_transformer.slots import Step

SCALED: dict[str, dict[str, Any]] = {
    "gemma": {"num_key_value_heads": 1, "head_dim": 16},
    "biogpt": {"scale_embedding": True},
    "opt": {"ffn_dim": 72, "word_embed_proj_dim": 64},
    "granite": {
        "logits_scaling": 8.0,
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.22,
        "attention_multiplier": 0.1,
        "num_key_value_heads": 2,
    },
    "cohere": {"logit_scale": 0.0625, "num_key_value_heads": 2},
    "gemma2": {
        "layer_types": ["full_attention"] * 2,
        "final_logit_softcapping": 1.5,
        "attn_logit_softcapping": 2.0,
        "num_key_value_heads": 2,
        "head_dim": 16,
    },
    "gpt2": {"scale_attn_by_inverse_layer_idx": True},
    "falcon": {"multi_query": True},
    "falcon-new": {"new_decoder_architecture": True, "num_kv_heads": 2},
}


def hf(model_type: str, **settings: Any) -> HfConfig:
    eager = {"attention": "eager"} if model_type == "gemma2" else {}
    return HfConfig(settings={"model_type": model_type, **settings}, tokenizer="small", weights="none", **eager)


def on_meta(config: DecoderConfig) -> HfBackbone:
    with torch.device("meta"):
        return HfBackbone(config)


@pytest.fixture(autouse=True)
def fresh_verdicts() -> Iterator[None]:
    """No verdict of another test, and none of a patched route for later ones."""
    proof._verdict.cache_clear()
    yield
    proof._verdict.cache_clear()


class TestMultipliers:
    @pytest.fixture(params=SCALED)
    def backbone(self, request: pytest.FixtureRequest) -> HfBackbone:
        backbone = (
            on_meta(hf(request.param.partition("-")[0], **{**SMALL, **SCALED[request.param]}))
            .to_empty(device="cpu")
            .eval()
        )
        backbone.reset_parameters(torch.Generator().manual_seed(0))
        return backbone

    @torch.no_grad()
    def test_logits_are_those_of_transformers(self, backbone: HfBackbone) -> None:
        theirs = AutoModelForCausalLM.from_config(
            transformers_config(backbone.config), attn_implementation=backbone.attention
        ).eval()
        theirs.load_state_dict(backbone.state_dict(), strict=False)
        theirs.tie_weights()
        ids = torch.arange(20)
        hidden = backbone.decoder(inputs_embeds=backbone.embed(ids)[None], use_cache=False).last_hidden_state
        check_same(backbone.logits(hidden), theirs(input_ids=ids[None], use_cache=False).logits)

    @torch.no_grad()
    def test_padding_stepping_and_packing(self, backbone: HfBackbone) -> None:
        check_contract(backbone, backbone.hidden_size)
        check_packing(backbone, backbone.hidden_size)


NAMED = [Pythia2800mConfig, Phi2Config, Vicuna7bConfig, MobileLlama2700mConfig]


@pytest.mark.parametrize("config", NAMED, ids=lambda config: config.__name__)
def test_named_models_prove_themselves_with_the_published_switches(config: type[DecoderConfig]) -> None:
    on_meta(config())
    (verdict,) = [proof._verdict(*key) for key in _keys(config())]
    assert verdict == proof.Verdict(None)


def _keys(config: DecoderConfig) -> list[tuple[str, str, str]]:
    built = transformers_config(config)
    return [(built.model_type, json.dumps(shrink(built), sort_keys=True, default=str), config.attention)]


def test_the_tiny_one_passes_the_same_proof() -> None:
    from transformers import GPTNeoXForCausalLM

    from cobra_kit_transformer.gpt_neox import gpt_neox_config

    for tied in (True, False):
        config = TransformerTinyConfig(tie_embeddings=tied)
        assert proof.prove(gpt_neox_config(config), "sdpa", where="transformer/tiny") == proof.Verdict(None)
        assert GPTNeoXForCausalLM.base_model_prefix == "gpt_neox"


def _raw_embed(self: CausalBackbone, ids: Tensor) -> Tensor:
    return F.embedding(ids, self.embedding)


def _raw_logits(self: CausalBackbone, hidden: Tensor) -> Tensor:
    return DecoderBackbone.logits(self, hidden)


def _one_later(self: Step, state: Any) -> None:
    _STEP_INIT(self, state)
    self.positions = self.positions + 1


_STEP_INIT = Step.__init__


@pytest.mark.parametrize(
    ("model_type", "owner", "name", "wrong", "message"),
    [
        (
            "gemma",
            CausalBackbone,
            "embed",
            _raw_embed,
            "gemma: this gemma .* does more to token ids than its embedding",
        ),
        ("biogpt", CausalBackbone, "embed", _raw_embed, "does more to token ids than its embedding does"),
        ("cohere", CausalBackbone, "logits", _raw_logits, "cohere model cannot be a backbone: its head does more"),
        ("granite", CausalBackbone, "logits", _raw_logits, "its head does more to hidden states than multiply"),
        (
            "llama",
            Step,
            "__init__",
            _one_later,
            "continued with keys and values of earlier tokens, rows give something",
        ),
        (
            "llama",
            DecoderBackbone,
            "_run",
            lambda self, embeddings, **_: self.decoder(inputs_embeds=embeddings, use_cache=False).last_hidden_state,
            "packed rows do not give what each gives alone",
        ),
    ],
)
def test_a_route_that_skips_something_is_refused_by_name(
    model_type: str, owner: type, name: str, wrong: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"logits_scaling": 8.0} if model_type == "granite" else {}
    config = hf(model_type, **settings)  # full size
    on_meta(config)
    proof._verdict.cache_clear()
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(PluginError, match=message) as caught:
        on_meta(config)
    assert str(caught.value).startswith(f"transformer/hf: {model_type}: this {model_type} model cannot be a backbone: ")


def test_what_agrees_on_short_rows_alone_is_refused() -> None:
    """GPT-Neo's local layers see 256 tokens; its config calls no layer by a name that transformers knows elsewhere."""
    config = hf("gpt_neo").model_copy(update={"attention": "eager"})
    with pytest.raises(PluginError, match="gpt_neo model cannot be a backbone: continued with keys and values"):
        on_meta(config)


def test_a_proof_leaves_no_trace() -> None:
    before = torch.get_rng_state()
    on_meta(hf("llama"))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_proof_per_process_and_config(monkeypatch: pytest.MonkeyPatch) -> None:
    on_meta(hf("llama"))
    monkeypatch.setattr(proof, "_build", lambda *_: pytest.fail("a second proof"))
    on_meta(hf("llama"))
    on_meta(hf("llama", num_hidden_layers=40, hidden_size=8192, intermediate_size=20000))  # the same small copy


def test_other_switches_are_another_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    on_meta(hf("granite"))
    monkeypatch.setattr(proof, "_build", lambda *_: (_ for _ in ()).throw(ValueError("a second proof")))
    with pytest.raises(PluginError, match="a second proof"):
        on_meta(hf("granite", logits_scaling=3.0))


def test_no_fused_attention_says_what_works() -> None:
    with pytest.raises(PluginError, match="transformers has no fused attention for it; with attention: eager it can"):
        on_meta(hf("gpt_neox_japanese"))
    on_meta(hf("gpt_neox_japanese").model_copy(update={"attention": "eager"}))
    with pytest.raises(PluginError, match="bloom model cannot be a backbone: the forward of BloomModel takes no posit"):
        on_meta(hf("bloom"))


HYBRIDS = ["mamba", "mamba2", "falcon_mamba", "bamba", "falcon_h1", "granitemoehybrid", "jamba", "nemotron_h", "zamba"]
HYBRIDS += ["zamba2", "recurrent_gemma", "rwkv", "xlstm", "qwen3_next", "olmo_hybrid", "kimi_linear", "minimax", "lfm3"]


@pytest.mark.parametrize("model_type", HYBRIDS)
def test_hybrids_are_refused_in_whole_sentences(model_type: str) -> None:
    with pytest.raises(PluginError, match=f"this {model_type} model cannot be a backbone: it") as caught:
        on_meta(hf(model_type))
    assert not caught.value.message.rstrip().endswith(":")
    assert "\n" not in caught.value.message
    assert "transformer/pythia-2.8b" in str(caught.value)


@pytest.mark.parametrize("model_type", ["mamba2", "olmo_hybrid", "falcon", "prophetnet"])
def test_a_config_that_transformers_refuses_is_quoted_whole(model_type: str, capfd: pytest.CaptureFixture[str]) -> None:
    """transformers' validators begin with a headline that ends in a colon; the reason is on the lines below."""
    with pytest.raises(
        PluginError, match=f"transformers cannot build a config of model_type '{model_type}': "
    ) as caught:
        on_meta(hf(model_type, **{**SMALL, "hidden_size": 63, "head_dim": 16, "layer_types": ["conv", "conv"]}))
    assert not caught.value.message.rstrip().endswith(":")
    assert "\n" not in caught.value.message
    assert "vocab_size" not in capfd.readouterr().err  # transformers would log the whole config


class TestPositions:
    @pytest.mark.parametrize("model_type", ["gpt2", "opt", "biogpt"])
    @torch.no_grad()
    def test_a_row_longer_than_the_learned_table_is_refused(self, model_type: str) -> None:
        settings = {**SMALL, **SCALED[model_type], "max_position_embeddings": 24}
        backbone = on_meta(hf(model_type, **settings)).to_empty(device="cpu").eval()
        backbone.reset_parameters(torch.Generator().manual_seed(0))
        message = r"a row of 25 tokens is longer than the 24 positions of the backbone\n +Take fewer"
        with pytest.raises(ShapeError, match=message):
            backbone.new_state(1, 25, device=torch.device("cpu"), dtype=torch.float32)
        backbone.new_state(1, 256, device=torch.device("meta"), dtype=torch.float32)  # a whole bucket, for graphs
        with pytest.raises(ShapeError, match="a row of 280 tokens is longer"):
            backbone.new_state(1, 280, device=torch.device("meta"), dtype=torch.float32)
        fits, row = (proof._rows([torch.randn(length, 64)]) for length in (24, 25))
        assert backbone(fits).shape == (1, 24, 64)
        with pytest.raises(ShapeError, match=message):
            backbone(row)

    def test_rotary_positions_have_no_end(self) -> None:
        assert on_meta(hf("llama")).most_positions is None
        assert on_meta(hf("gpt2")).most_positions == 1024


class TestFloats:
    def test_a_config_is_read_as_transformers_reads_it(self, tmp_path: Path) -> None:
        Mamba2Config(time_step_limit=(0.0, math.inf), own=[-math.inf, {"deep": math.inf}]).save_pretrained(tmp_path)
        assert '"__float__"' in (tmp_path / "config.json").read_text("utf-8")
        theirs = AutoConfig.from_pretrained(tmp_path).to_dict()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cobra_kit_transformer.architecture._problems", lambda _: [])
            ours = transformers_config(HfConfig(model=str(tmp_path), weights="none")).to_dict()
        assert ours["own"] == theirs["own"] == [-math.inf, {"deep": math.inf}]
        assert tuple(ours["time_step_limit"]) == (0.0, math.inf)
        for name in ("_name_or_path", "architectures"):
            theirs.pop(name, None)
            ours.pop(name, None)
        assert ours == theirs

    @pytest.mark.parametrize(
        ("written", "value"), [("Infinity", math.inf), ("-Infinity", -math.inf), ("NaN", math.nan)]
    )
    def test_every_number_that_json_lacks(self, written: str, value: float, tmp_path: Path) -> None:
        settings = {"model_type": "llama", **SMALL, "own": {"__float__": written}, "kept": {"__float__": 3}}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        theirs: Any = AutoConfig.from_pretrained(tmp_path)
        for config in (HfConfig(model=str(tmp_path), weights="none"), HfConfig(settings=settings, weights="none")):
            ours: Any = transformers_config(config)
            assert repr(ours.own) == repr(theirs.own) == repr(value)
            assert ours.kept == theirs.kept


GROWING = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}


@pytest.mark.parametrize("rope", [GROWING, {"full_attention": GROWING}])
def test_rotary_frequencies_that_grow_are_seen_per_kind_of_layer_too(rope: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=r"depend on the longest row of a batch \(dynamic\)"):
        on_meta(hf("llama", rope_parameters=rope))


class TestShrink:
    def test_a_copy_is_trained_on_fewer_positions_than_it_sees(self) -> None:
        """Ministral 3 scales its queries beyond them; rows within would not show whether positions are right."""
        full = AutoConfig.for_model("ministral3")
        assert full.rope_parameters["original_max_position_embeddings"] > 1000
        assert shrink(full)["rope_parameters"]["original_max_position_embeddings"] == WINDOW < min(proof._LENGTHS) + 5

    @pytest.mark.parametrize("model_type", ["llama", "gemma", "falcon", "gpt2", "opt", "qwen3_moe", "phi", "glm4_moe"])
    def test_a_copy_is_small_and_keeps_every_switch(self, model_type: str) -> None:
        full = AutoConfig.for_model(model_type)
        small = AutoConfig.for_model(model_type, **shrink(full))
        with torch.device("meta"):
            assert parameters_of(AutoModelForCausalLM.from_config(small)) < 500_000
        for name, value in full.to_dict().items():
            if isinstance(value, (bool, float, str)) and name != "transformers_version":
                assert getattr(small, name) == value, name

    def test_the_first_layer_of_every_kind_stays(self) -> None:
        full = AutoConfig.for_model("smollm3", num_hidden_layers=12, no_rope_layers=[1] * 9 + [0] * 3)
        small = shrink(full)
        assert small["no_rope_layers"] == [1, 1, 1, 0]
        assert small["num_hidden_layers"] == len(small["layer_types"]) == 4

    def test_what_cannot_be_made_small_is_refused_with_its_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proof, "MOST_PARAMETERS", 1000)
        with pytest.raises(PluginError, match=r"no copy of it is small enough to be tried \(the smallest has 0M para"):
            on_meta(hf("llama"))
