"""Text while it is being generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\ufffd"
"""What a decoder puts where bytes are no character, or not one yet."""


class TextPieces:
    """Turns the growing ids of one answer into pieces of text that together are the answer.

    A token may end inside a character; such an end is held back until it is whole. So is white space at the end, for
    answers do not end in it, and none stands at the beginning.

    Args:
        decode: Ids to text.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._told = ""

    def more(self, ids: Sequence[int]) -> str:
        """Returns what is new and settled in the text of `ids`, all of the answer so far; may be empty."""
        return self._new(self._decode(ids).lstrip().rstrip(_HALF).rstrip())

    def rest(self, ids: Sequence[int]) -> str:
        """Returns what is new in the text of `ids`, the whole answer."""
        return self._new(self._decode(ids).strip())

    def _new(self, text: str) -> str:
        piece = text[len(self._told) :]
        self._told += piece
        return piece
