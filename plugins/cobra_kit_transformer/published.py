"""The published models that have names: their configs as data, so that they build without a network. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """A model on the hub.

    Args:
        repository: The hub repository of its weights.
        tokenizer: Where a `tokenizer.json` for it is; its own repository may have the older form only.
        settings: The model's `config.json`, as far as transformers' defaults differ or say nothing.
        parameters: How many it has, the unused rows of the embedding included.
        begin_of_text: What it expects before every text.
        end_of_text: The special token that ends an answer.
        source: Where the settings were read.
    """

    repository: str
    tokenizer: str
    settings: Mapping[str, Any]
    parameters: int
    begin_of_text: str
    end_of_text: str
    source: str


PYTHIA_2_8B = Published(
    repository="EleutherAI/pythia-2.8b",
    tokenizer="EleutherAI/pythia-2.8b",
    settings={
        "model_type": "gpt_neox",
        "vocab_size": 50304,
        "hidden_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "intermediate_size": 10240,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "use_parallel_residual": True,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
    },
    parameters=2_775_208_960,
    begin_of_text="",
    end_of_text="<|endoftext|>",
    source="config.json of EleutherAI/pythia-2.8b; Biderman et al. 2023 (arXiv 2304.01373), Table 1",
)

PHI_2 = Published(
    repository="microsoft/phi-2",
    tokenizer="microsoft/phi-2",
    settings={
        "model_type": "phi",
        "vocab_size": 51200,
        "hidden_size": 2560,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 10240,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "qk_layernorm": False,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.1,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "bos_token_id": 50256,
        "eos_token_id": 50256,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.4},
    },
    parameters=2_779_683_840,
    begin_of_text="",
    end_of_text="<|endoftext|>",
    source="config.json of microsoft/phi-2",
)

_LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 32000,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}

VICUNA_7B = Published(
    repository="lmsys/vicuna-7b-v1.5",
    tokenizer="mtgv/MobileLLaMA-2.7B-Base",  # LLaMA's tokenizer too; lmsys has the SentencePiece form alone
    settings={
        **_LLAMA,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096,
    },
    parameters=6_738_415_616,
    begin_of_text="<s>",
    end_of_text="</s>",
    source="config.json of lmsys/vicuna-7b-v1.5; LLaMA-2-7B's sizes (arXiv 2307.09288)",
)

MOBILELLAMA_2_7B = Published(
    repository="mtgv/MobileLLaMA-2.7B-Chat",
    tokenizer="mtgv/MobileLLaMA-2.7B-Base",
    settings={
        **_LLAMA,
        "hidden_size": 2560,
        "intermediate_size": 6912,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
    },
    parameters=2_701_560_320,
    begin_of_text="<s>",
    end_of_text="</s>",
    source="config.json of mtgv/MobileVLM_V2-3B at ebc3f61, which is tuned from it; arXiv 2312.16886, 3.2",
)
