"""Text while it is being generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from cobra_kit.model.decoding.sampling import GREEDY, Sampling
from cobra_kit.model.decoding.session import DecodeSession

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.vision_language_model import VisionLanguageModel

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


def stream_text(
    model: VisionLanguageModel, batch: Batch, *, max_new_tokens: int, sampling: Sampling = GREEDY
) -> Iterator[str]:
    """Yields the answer to one prompt in pieces; waits for the device after every token.

    Args:
        model: The composed model, in eval mode.
        batch: One row, collated for generation, on the model's device.
        max_new_tokens: Most tokens of the answer.
        sampling: How tokens are chosen.
    """
    tokenizer = model.processor.codec.tokenizer
    pieces = TextPieces(tokenizer.decode)
    session = DecodeSession(model, batch, max_new_tokens=max_new_tokens, stop_ids=[tokenizer.eos_id], sampling=sampling)
    session.prefill()
    while not session.finished():
        if piece := pieces.more(session.tokens()[0]):
            yield piece
        session.advance()
    if piece := pieces.rest(session.tokens()[0]):
        yield piece
