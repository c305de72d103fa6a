"""Small tokenizers of every kind that published models have, made here; their decoders differ in what they look at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from cobra_kit.text.tokenizer import BpeTokenizer, small_tokenizer

END = "</s>"
_WORDS = ("▁", "▁▁", "a", "▁a", "▁the", "Yes", "▁Yes", "No", "▁No", "True", "▁True", "False", "▁False", ".", ",", "1")
_SIGNS = ("é", "e\u0301", "你", "\u200d", "👩", "\ufffd", "\u3000")


def byte_fallback(decoder: decoders.Decoder) -> BpeTokenizer:
    """Returns a tokenizer of LLaMA's kind: a blank before every text, unknown characters as bytes."""
    names = (END, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *_WORDS, *_SIGNS)
    model = models.Unigram([(name, -float(len(name) < 3)) for name in names], unk_id=1, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _finished(tokenizer, decoder)


def metaspace() -> BpeTokenizer:
    """Returns a tokenizer of T5's kind."""
    model = models.Unigram([(name, -float(len(name) < 3)) for name in (END, "<unk>", *_WORDS, *_SIGNS)], unk_id=1)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return _finished(tokenizer, decoders.Metaspace())


def word_piece() -> BpeTokenizer:
    """Returns a tokenizer of BERT's kind."""
    words = (END, "[UNK]", "yes", "no", "do", "n", "'", "t", "##t", "##ing", "not", "n't", ".", ",", "!", "你")
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _finished(tokenizer, decoders.WordPiece(cleanup=True))


def word_ends() -> BpeTokenizer:
    """Returns a tokenizer of the first GPT's kind: a mark where a word ends, a blank for it unless it is the last."""
    words = (END, "a", "b</w>", "the</w>", "ing", "你</w>", ".</w>")
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    return _finished(tokenizer, decoders.BPEDecoder("</w>"))


class CleanedUp:
    """A tokenizer over transformers that takes blanks away across several tokens."""

    def __init__(self) -> None:
        from transformers import PreTrainedTokenizerFast

        self._inner = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(word_piece().definition))
        self.vocab_size = len(self._inner)

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, nothing added."""
        return list(self._inner.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text, cleaned up."""
        return str(self._inner.decode(list(ids), clean_up_tokenization_spaces=True))


class SingleBytes:
    """A tokenizer of ByT5's kind: an id is a byte."""

    vocab_size = 256

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of the bytes."""
        return bytes(ids).decode(errors="replace")


_BLANKS, _BYTES, _FUSE = decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()
KINDS = {
    "byte-level": small_tokenizer,
    "llama": lambda: byte_fallback(decoders.Sequence([_BLANKS, _BYTES, _FUSE, decoders.Strip(" ", 1, 0)])),
    "gemma": lambda: byte_fallback(decoders.Sequence([_BLANKS, _BYTES, _FUSE])),
    "byte-metaspace": lambda: byte_fallback(decoders.Sequence([_BYTES, decoders.Metaspace()])),
    "metaspace": metaspace,
    "word-piece": word_piece,
    "word-ends": word_ends,
    "cleaned-up": CleanedUp,
    "single-bytes": SingleBytes,
}


@cache
def kind(name: str) -> BpeTokenizer | CleanedUp | SingleBytes:
    """Returns the tokenizer of a kind."""
    return KINDS[name]()


def _finished(tokenizer: Tokenizer, decoder: decoders.Decoder) -> BpeTokenizer:
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens([END])
    return BpeTokenizer(tokenizer.to_str(), END)
