"""The vocabulary of a tokenizer as a digest: weights that were trained with other ids are told apart by it."""

from __future__ import annotations

import hashlib
import json

from cobra_kit.interfaces import Tokenizer


def vocabulary_digest(tokenizer: Tokenizer) -> str:
    """Returns 16 hex digits of the text of every id, in order, and of the id that ends an answer.

    Tokenizers that give the same ids the same texts have the same digest, wherever they come from.
    """
    texts = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]
    content = json.dumps([tokenizer.eos_id, texts])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
