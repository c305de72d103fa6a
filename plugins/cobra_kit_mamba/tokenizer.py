"""The tokenizer and prompt template that go with a Mamba model."""

from __future__ import annotations

from cobra_kit.errors import TextError
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.pretrained import pretrained_codec
from cobra_kit.text.templates import BaseTemplate, ChatTemplate
from cobra_kit.text.tokenizer import END_OF_TEXT, small_tokenizer
from cobra_kit_mamba.config import MambaFamilyConfig

SMALL, GPT_NEOX = "small", "gpt-neox-20b"
"""The values of `tokenizer` that are names; anything else is a path."""


def family_codec(config: MambaFamilyConfig) -> TextCodec:
    """Returns tokenizer and template of a model, without its weights.

    Raises:
        TextError: The tokenizer cannot be found or read, or has more ids than the embedding has rows.
    """
    template = ChatTemplate() if config.template == "chat" else BaseTemplate()
    if config.tokenizer == SMALL:
        codec = TextCodec(small_tokenizer(), template, config.max_text_tokens)
    else:
        codec = pretrained_codec(
            template,
            config.max_text_tokens,
            weights=config.weights,
            tokenizer=None if config.tokenizer == GPT_NEOX else config.tokenizer,
            eos_token=END_OF_TEXT,
            where=f"{config.hub_id or type(config).__name__}: tokenizer: {config.tokenizer}",
        )
    ids = codec.tokenizer.vocab_size
    if config.padded_vocab_size is not None and ids > config.padded_vocab_size:
        raise TextError(
            f"the tokenizer {config.tokenizer} has {ids:,} ids, the embedding {config.padded_vocab_size:,} rows",
            hint="Use the tokenizer that the weights were trained with, or set vocab_size (random weights only).",
        )
    return codec
