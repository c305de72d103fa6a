"""A vocabulary's digest follows the texts of its ids, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.text.tokenizer import BpeTokenizer, small_tokenizer
from cobra_kit.text.vocabulary import vocabulary_digest


class Letters:
    """As many letters as it is given, the first of which ends an answer."""

    def __init__(self, letters: str, eos_id: int = 0) -> None:
        self.letters, self.eos_id, self.vocab_size = letters, eos_id, len(letters)

    def encode(self, text: str) -> list[int]:
        return [self.letters.index(letter) for letter in text]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        return self.encode(text), [(i, i + 1) for i in range(len(text))]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.letters[i] for i in ids)


def test_order_number_and_end_of_text_count() -> None:
    tokenizers = [Letters("abc"), Letters("acb"), Letters("abcd"), Letters("abc", eos_id=1)]
    assert len({vocabulary_digest(tokenizer) for tokenizer in tokenizers}) == len(tokenizers)
    assert vocabulary_digest(Letters("abc")) == vocabulary_digest(Letters("abc"))


def test_where_a_tokenizer_comes_from_does_not() -> None:
    again = BpeTokenizer(small_tokenizer().definition, where="elsewhere")
    assert vocabulary_digest(again) == vocabulary_digest(small_tokenizer())
    assert len(vocabulary_digest(again)) == 16
