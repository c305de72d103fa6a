"""Byte-level BPE tokenizers: the packaged small one, and any `tokenizer.json` such as GPT-NeoX's."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import tokenizers

from cobra_kit.arguments import file_path, text
from cobra_kit.errors import ArgumentError, TextError, UnreadableFile
from cobra_kit.files import read_utf8

END_OF_TEXT = "<|endoftext|>"
"""The text of the one special token: bos = eos = pad = unk, id 0 (PAPER.md 1.7)."""

SMALL_TOKENIZER_FILE = "small_tokenizer.json"
"""The name of the packaged tokenizer, beside this module."""


DEFINITION_BYTES = 1 << 28
"""The most that a `tokenizer.json` holds; those of a quarter million ids take 34 MB."""

_BYTE = re.compile("<0x..>")
"""How a vocabulary with byte fallback writes the id of a single byte."""


class BpeTokenizer:
    """A tokenizer over the `tokenizers` library; implements `cobra_kit.interfaces.Tokenizer`. Picklable.

    `<|endoftext|>` written out in a text becomes its single id, wherever it stands, as with the tokenizers of the
    Hugging Face hub that upstream uses; whoever must not allow it in a message checks the message.

    Args:
        definition: The content of a `tokenizer.json`.
        eos_token: The text of the token that ends an answer.
        where: Where the definition came from, for error messages.

    Raises:
        TextError: The definition is damaged or does not know `eos_token`.
    """

    def __init__(self, definition: str, eos_token: str = END_OF_TEXT, *, where: str | None = None) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(definition)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the Rust library raises plain Exception, and its panics are no Exception
            raise TextError(
                f"this is not a tokenizer definition: {error}",
                where=where,
                hint="Expected the `tokenizer.json` form of the `tokenizers` library; fetch or build the file again.",
            ) from error
        try:
            text(eos_token, "eos_token").encode("utf-8")
        except UnicodeEncodeError as error:
            raise TextError(f"eos_token {eos_token!r} is not valid Unicode", where=where) from error
        eos_id = self._tokenizer.token_to_id(eos_token)
        if eos_id is None:
            raise TextError(
                f"the tokenizer has no token {eos_token!r} to end an answer with",
                where=where,
                hint="Name the tokenizer's own end-of-text token as `eos_token`.",
            )
        # A row is cut and padded by the core, never by the tokenizer.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._eos_id: int = eos_id
        self._eos_token = eos_token
        added = self._tokenizer.get_added_tokens_decoder()
        self._silent = {eos_id, *(token for token, about in added.items() if about.special)}
        self._joins_bytes = _joins_bytes(self._tokenizer)
        self._vocab_size = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    @classmethod
    def from_file(cls, path: str | Path, eos_token: str = END_OF_TEXT) -> BpeTokenizer:
        """Returns the tokenizer of a `tokenizer.json` file.

        Raises:
            TextError: The file cannot be read, is damaged, or does not know `eos_token`.
        """
        path = file_path(path, "path")
        try:
            definition = read_utf8(path, DEFINITION_BYTES, hint="Fetch or build the file again.")
        except OSError as error:
            raise TextError(f"the tokenizer file cannot be read: {error}", where=str(path)) from error
        except UnreadableFile as error:
            raise TextError(
                f"the tokenizer file cannot be read: {error.message}", where=error.where, hint=error.hint
            ) from error
        return cls(definition, eos_token, where=str(path))

    @property
    def eos_id(self) -> int:
        """Returns the id of the end-of-text token."""
        return self._eos_id

    @property
    def eos_token(self) -> str:
        """Returns the text of the end-of-text token."""
        return self._eos_token

    @property
    def vocab_size(self) -> int:
        """Returns one more than the largest id the tokenizer can produce."""
        return self._vocab_size

    @property
    def definition(self) -> str:
        """Returns the content of a `tokenizer.json` of this tokenizer."""
        return self._tokenizer.to_str()

    def encode(self, text: str) -> list[int]:
        """Returns the ids of `text`; nothing is added in front or behind.

        Raises:
            TextError: The text is not valid Unicode (half of a surrogate pair).
        """
        return self._encode(text).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Returns the ids of `text` and, per id, its (start, end) in characters.

        The tokens of a character of several bytes all carry that character's offsets. Whether a token's offsets
        include its leading blank depends on the tokenizer (GPT-NeoX's leave it out, the small one's do not).
        """
        encoding = self._encode(text)
        return encoding.ids, encoding.offsets

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of `ids`, special tokens left out.

        Ids from `vocab_size` on stand for no text: they are rows that only pad an embedding.
        """
        try:
            ids = [operator.index(i) for i in ids]
        except TypeError as error:
            raise ArgumentError(f"ids must be whole numbers: {error}") from error
        if ids and min(ids) < 0:
            raise ArgumentError(f"an id is 0 or more, not {min(ids)}")
        kept = [i for i in ids if i != self._eos_id and i < self._vocab_size]
        return self._tokenizer.decode(kept, skip_special_tokens=True)

    def separates(self, token: int) -> bool:
        """Returns whether what stands before an id, and its own text, stay as they are whatever follows.

        A byte of a decoder with byte fallback does not separate: the bytes of a run are read together, and one that
        fits no character spoils all of them. Nor does an id without text, since bytes join across it.
        """
        if not self._joins_bytes:
            return True
        piece = self._tokenizer.id_to_token(token)
        return piece is not None and token not in self._silent and _BYTE.fullmatch(piece) is None

    def _encode(self, message: str) -> tokenizers.Encoding:
        try:
            text(message, "text").encode("utf-8")
        except UnicodeEncodeError as error:
            raise TextError(
                f"the text is not valid Unicode at character {error.start}: {message[error.start]!r}",
                hint="Half of a surrogate pair has no UTF-8 form; mend the text at its source.",
            ) from error
        return self._tokenizer.encode(message, add_special_tokens=False)

    def __reduce__(self) -> tuple[type[BpeTokenizer], tuple[str, str]]:
        return type(self), (self.definition, self._eos_token)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BpeTokenizer):
            return NotImplemented
        return self is other or self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self._eos_id, self._vocab_size))

    def __repr__(self) -> str:
        return f"BpeTokenizer(vocab_size={self.vocab_size}, eos={self._eos_token!r})"

    def _identity(self) -> tuple[object, str]:
        # Parsed, so that the order of keys does not matter.
        return json.loads(self.definition), self._eos_token


def _joins_bytes(tokenizer: tokenizers.Tokenizer) -> bool:
    """Returns whether a step of the decoder is byte fallback."""
    return tokenizer.decoder is not None and b'"ByteFallback"' in tokenizer.decoder.__getstate__()


@cache
def small_tokenizer() -> BpeTokenizer:
    """Returns the packaged tokenizer of the tiny parts, which a script in `tools` makes, read once per process."""
    source = files("cobra_kit.text").joinpath(SMALL_TOKENIZER_FILE)
    try:
        definition = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TextError(
            f"the packaged tokenizer cannot be read: {error}",
            where=str(source),
            hint="The installation is damaged; install cobra-kit again.",
        ) from error
    return BpeTokenizer(definition, where=str(source))
