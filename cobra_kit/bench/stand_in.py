"""A tokenizer for models whose own is not on this machine: only the number of ids matters for time."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.interfaces import TextCodec
from cobra_kit.text.templates import make_template
from cobra_kit.text.tokenizer import small_tokenizer

_LONGEST = 1 << 20


class StandInTokenizer:
    """The packaged small tokenizer with the number of ids of another one.

    Args:
        vocab_size: Ids that the model may choose.
    """

    def __init__(self, vocab_size: int) -> None:
        self._small = small_tokenizer()
        self.vocab_size = vocab_size

    @property
    def eos_id(self) -> int:
        """Returns the id that ends an answer."""
        return self._small.eos_id

    def encode(self, text: str) -> list[int]:
        """Returns the small tokenizer's ids, each made one that the model has."""
        return [token % self.vocab_size for token in self._small.encode(text)]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Returns the same, with their places."""
        ids, places = self._small.encode_with_offsets(text)
        return [token % self.vocab_size for token in ids], places

    def decode(self, ids: Sequence[int]) -> str:
        """Returns no text: the ids stand for nothing."""
        return f"({len(ids)} tokens)"


def stand_in_codec(vocab_size: int) -> TextCodec:
    """Returns the codec of a model with so many ids."""
    return TextCodec(StandInTokenizer(vocab_size), make_template("base"), _LONGEST)
