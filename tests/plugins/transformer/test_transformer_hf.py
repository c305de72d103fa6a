"""Backbones that transformers builds: equal to transformers, the promises of a backbone, and full sizes on meta."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from rounding import check_same
from transformer_checks import SMALL, check_contract, check_packing, close, sequence
from transformers import AutoModelForCausalLM, PreTrainedModel

from cobra_kit._plugins import default_registry
from cobra_kit.errors import PluginError
from cobra_kit.interfaces import FusedSequence
from cobra_kit_transformer.architecture import transformers_config
from cobra_kit_transformer.hf import HfBackbone
from cobra_kit_transformer.hf_config import (
    DecoderConfig,
    HfConfig,
    MobileLlama2700mConfig,
    Phi2Config,
    Pythia2800mConfig,
    Vicuna7bConfig,
)
from cobra_kit_transformer.published import MOBILELLAMA_2_7B, PHI_2, PYTHIA_2_8B, VICUNA_7B


def hf(model_type: str, **settings: Any) -> HfConfig:
    return HfConfig(settings={"model_type": model_type, **SMALL, **settings}, tokenizer="small", weights="none")


MODELS = {
    "gpt_neox": hf("gpt_neox"),
    "gpt_neox-tied": hf("gpt_neox", tie_word_embeddings=True),
    "llama": hf("llama"),
    "llama-grouped": hf("llama", num_key_value_heads=2),
    "phi": hf("phi", partial_rotary_factor=0.5, resid_pdrop=0.1),
    "phi-normed": hf("phi", qk_layernorm=True),
    "gpt2": hf("gpt2"),
    "qwen2": hf("qwen2", num_key_value_heads=2),
    "mistral": hf("mistral", num_key_value_heads=2, sliding_window=None),
    "stablelm": hf("stablelm", num_key_value_heads=4),
    "gemma": hf("gemma", num_key_value_heads=1, head_dim=16, tie_word_embeddings=False),
    "opt": hf("opt", ffn_dim=72, word_embed_proj_dim=64),
    "biogpt": hf("biogpt"),
    "cohere": hf("cohere", logit_scale=0.25, num_key_value_heads=2),
    "granite": hf("granite", logits_scaling=4.0, embedding_multiplier=6.0, residual_multiplier=0.5),
    "llama-eager": hf("llama").model_copy(update={"attention": "eager"}),
    "pythia": Pythia2800mConfig.tiny(),
    "phi-2": Phi2Config.tiny(),
    "vicuna": Vicuna7bConfig.tiny(),
    "mobilellama": MobileLlama2700mConfig.tiny(),
}


def build(config: DecoderConfig, seed: int = 0) -> HfBackbone:
    with torch.device("meta"):
        backbone = HfBackbone(config)
    assert all(tensor.is_meta for tensor in (*backbone.parameters(), *backbone.buffers()))
    backbone.to_empty(device="cpu")
    backbone.reset_parameters(torch.Generator().manual_seed(seed))
    backbone.load_pretrained()
    return backbone.eval()


def reference(backbone: HfBackbone) -> PreTrainedModel:
    """transformers' own model with the same weights."""
    model: PreTrainedModel = AutoModelForCausalLM.from_config(
        transformers_config(backbone.config), attn_implementation=backbone.config.attention
    )
    missing, unexpected = model.load_state_dict(backbone.state_dict(), strict=False)
    assert (missing, unexpected) == ([backbone.tied_head] if backbone.tied_head else [], [])
    model.tie_weights()
    return model.eval()


@pytest.fixture(params=MODELS, scope="module")
def backbone(request: pytest.FixtureRequest) -> HfBackbone:
    return build(MODELS[request.param])


@torch.no_grad()
def test_logits_equal_transformers(backbone: HfBackbone) -> None:
    ids = torch.randint(backbone.vocab_size, (3, 11), generator=torch.Generator().manual_seed(1))
    embeddings = backbone.embed(ids.flatten()).view(3, 11, -1)
    hidden = backbone(FusedSequence(embeddings, sequence(list(embeddings)).layout))
    expected = reference(backbone)(input_ids=ids).logits
    assert expected.std() > 0.01
    check_same(backbone.logits(hidden), expected)


@torch.no_grad()
def test_padding_batching_and_stepping_change_nothing(backbone: HfBackbone) -> None:
    check_contract(backbone, backbone.hidden_size)


@torch.no_grad()
def test_packed_rows_are_their_segments(backbone: HfBackbone) -> None:
    check_packing(backbone, backbone.hidden_size)


@pytest.mark.parametrize("name", ["gpt_neox", "llama-grouped", "phi", "gpt2", "gemma", "opt", "cohere"])
@torch.no_grad()
def test_greedy_tokens_are_those_of_transformers_generate(name: str) -> None:
    backbone, steps = build(MODELS[name]), 12
    prompt = torch.randint(backbone.vocab_size, (1, 7), generator=torch.Generator().manual_seed(2))
    expected = reference(backbone).generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=steps, pad_token_id=0
    )
    state = backbone.new_state(1, 7 + steps, device=torch.device("cpu"), dtype=torch.float32)
    hidden = backbone(sequence([backbone.embed(prompt[0])]), state)[:, -1]
    got = []
    for _ in range(steps):
        token = backbone.logits(hidden).argmax(dim=-1)
        got.append(int(token))
        hidden = backbone.step(backbone.embed(token), state)
    assert got == expected[0, 7:].tolist()
    assert len(set(got)) > 1


def test_gradients_equal_transformers() -> None:
    backbone = build(MODELS["llama-grouped"])
    ids = torch.randint(backbone.vocab_size, (2, 9))
    model = reference(backbone)
    embeddings = backbone.embed(ids.flatten()).view(2, 9, -1)
    hidden = backbone(FusedSequence(embeddings, sequence(list(embeddings.detach())).layout))
    for logits in (backbone.logits(hidden), model(input_ids=ids).logits):
        torch.autograd.backward(logits.square().mean())
    theirs = dict(model.named_parameters())
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-6, rtol=1e-4, msg=name)


def test_random_weights_follow_transformers_scheme_and_the_generator(backbone: HfBackbone) -> None:
    again, other = build(backbone.config), build(backbone.config, seed=1)
    theirs = dict(AutoModelForCausalLM.from_config(transformers_config(backbone.config)).named_parameters())
    for name, parameter in backbone.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name
        mine, drawn = parameter.detach(), theirs[name].detach()
        if bool((drawn == drawn.flatten()[0]).all()):
            assert torch.equal(mine, drawn), name
        else:
            assert float(mine.std()) == pytest.approx(float(drawn.std()), rel=10 * mine.numel() ** -0.5), name
            assert not torch.equal(mine, other.get_parameter(name)), name


def test_random_weights_leave_torchs_own_generator_alone() -> None:
    before = torch.get_rng_state()
    build(MODELS["llama"])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_scheme_that_forgets_a_tensor_is_an_error() -> None:
    backbone = build(MODELS["llama"])
    backbone.decoder.register_parameter("forgotten", torch.nn.Parameter(torch.empty(3)))
    backbone.decoder.register_buffer("counted", torch.empty(3, dtype=torch.int64))
    with pytest.raises(PluginError, match=r"LlamaModel without a value: model\.counted, model\.forgotten"):
        backbone.reset_parameters()


def test_half_precision_leaves_the_rotary_frequencies_exact() -> None:
    backbone = build(MODELS["llama"])
    exact = backbone.get_buffer("model.rotary_emb.inv_freq").clone()
    assert not torch.equal(exact.bfloat16().float(), exact)
    torch.nn.Sequential(backbone).to(torch.bfloat16)
    assert torch.equal(backbone.get_buffer("model.rotary_emb.inv_freq"), exact)
    assert backbone.embed(torch.tensor([1])).dtype == torch.bfloat16


@torch.no_grad()
def test_bfloat16_is_close_to_float32() -> None:
    backbone, half = build(MODELS["llama"]), build(MODELS["llama"]).to(torch.bfloat16)
    row = backbone.embed(torch.arange(9))
    whole = sequence([row])
    got = half(FusedSequence(whole.embeddings.bfloat16(), whole.layout)).float()
    exact = backbone(whole)
    assert float((got - exact).norm() / exact.norm()) < 0.03


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("pythia-2.8b", PYTHIA_2_8B),
        ("phi-2", PHI_2),
        ("vicuna-7b", VICUNA_7B),
        ("mobilellama-2.7b", MOBILELLAMA_2_7B),
    ],
)
def test_full_sizes_on_the_meta_device(name: str, published: Any) -> None:
    component = default_registry().get("backbone", f"transformer/{name}")
    cls: Any = component.load_class()
    with torch.device("meta"):
        backbone = cls(component.load_config()())
    assert sum(parameter.numel() for parameter in backbone.parameters()) == published.parameters
    assert len(backbone.blocks()) == 32
    assert (backbone.hidden_size, backbone.vocab_size) == (
        published.settings["hidden_size"],
        published.settings["vocab_size"],
    )


def test_blocks_kernels_and_lora_targets() -> None:
    backbone = build(MODELS["llama"])
    assert [type(block).__name__ for block in backbone.blocks()] == ["LlamaDecoderLayer"] * 2
    (report,) = backbone.kernels()
    assert (report.kernel, report.remedy) == ("sdpa", None)
    for name in ("gpt_neox", "llama", "phi"):
        model = build(MODELS[name])
        linear = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        assert linear - {"lm_head"} <= set(model.lora_targets)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "mistral", "sliding_window": 8}, "its attention sees the last 8 tokens only"),
        ({"model_type": "gemma2"}, r"layers of other kinds than full attention \(sliding_attention\)"),
        ({"model_type": "ctrl"}, "its head does more to hidden states than multiply, scale and cap them"),
        ({"model_type": "gemma3"}, r"its config holds others, as that of several models in one \(text_config, vision"),
        ({"model_type": "falcon", "alibi": True}, "distances for positions"),
        ({"model_type": "bert", "is_decoder": False}, "BertLMHeadModel has no linear head of its own"),
        ({"model_type": "t5"}, "encoder of its own"),
        ({"model_type": "mamba"}, r"layers of other kinds than full attention \(linear_attention\)"),
        ({"model_type": "siglip_vision_model"}, "no causal language model of this type"),
        (
            {"model_type": "llama", "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            r"longest row of a batch \(dynamic\)",
        ),
        ({"model_type": "no_such_model"}, "cannot build a config of model_type 'no_such_model'"),
        ({"model_type": "llama", "num_attention_heads": 5}, "cannot build"),
    ],
    ids=lambda value: value.get("model_type") if isinstance(value, dict) else None,
)
def test_what_is_no_backbone_is_refused(settings: dict[str, Any], message: str) -> None:
    config = HfConfig(settings={**SMALL, **settings}, weights="none")
    with pytest.raises(PluginError, match=message) as caught, torch.device("meta"):
        HfBackbone(config)
    assert settings["model_type"] in str(caught.value)


def test_the_comparisons_can_fail() -> None:
    with pytest.raises(AssertionError):
        close(torch.zeros(2), torch.full((2,), 1e-3))
    expected = torch.randn(200)
    check_same(expected * (1 + 1e-7), expected)
    with pytest.raises(AssertionError):
        check_same(expected * 1.001, expected)
    with pytest.raises(AssertionError, match="values that are all alike prove nothing"):
        check_same(torch.ones(3), torch.ones(3))
