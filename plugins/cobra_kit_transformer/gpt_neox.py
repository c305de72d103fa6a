"""Our settings in transformers' terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cobra_kit_transformer.config import TransformerTinyConfig

if TYPE_CHECKING:
    from transformers import GPTNeoXConfig

ROPE_THETA = 10000.0
"""Base of the rotary frequencies, as in Pythia."""


def padded_vocab_size(config: TransformerTinyConfig) -> int:
    """Returns the rows of the embedding: the vocabulary, rounded up to `pad_vocab_multiple`."""
    from cobra_kit.text.tokenizer import small_tokenizer

    size = small_tokenizer().vocab_size if config.vocab_size is None else config.vocab_size
    return -(-size // config.pad_vocab_multiple) * config.pad_vocab_multiple


def gpt_neox_config(config: TransformerTinyConfig) -> GPTNeoXConfig:
    """Returns transformers' config of the same model.

    What is not named is its default, which is Pythia's: parallel residual, biases, exact GELU.
    """
    from transformers import GPTNeoXConfig

    return GPTNeoXConfig(
        vocab_size=padded_vocab_size(config),
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        layer_norm_eps=config.norm_eps,
        initializer_range=config.initializer_range,
        tie_word_embeddings=config.tie_embeddings,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ROPE_THETA,
            "partial_rotary_factor": config.rotary_pct,
        },
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation=config.attention,
    )


def inverse_frequencies(config: TransformerTinyConfig) -> Tensor:
    """Returns the rotary frequencies `[channels/2]`, `theta ** (-2i / channels)`.

    Su et al. 2021, arXiv 2104.09864, section 3.2.2.
    """
    rotary = int(config.head_dim * config.rotary_pct)
    return 1.0 / (ROPE_THETA ** (torch.arange(0, rotary, 2, dtype=torch.float) / rotary))
