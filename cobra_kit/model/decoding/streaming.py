"""Text while it is being generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from cobra_kit.errors import TextError
from cobra_kit.model.decoding.sampling import GREEDY, Sampling
from cobra_kit.model.decoding.session import DecodeSession, DecodeSettings

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.multimodal_module import MultimodalModule

_HALF = "\ufffd"
"""What a decoder puts where bytes are no character, or not one yet."""

_CONTEXT = 5
"""Ids before the newest that are decoded again with it, so that it reads as it does behind the whole answer."""

_WINDOW = 10
"""Ids that are decoded together before those before the context are left behind."""


class TextPieces:
    """Turns the growing ids of one answer into pieces of text that together are the answer.

    Only a short window of ids is decoded again for a new one. A piece is given when no later id can change it, which
    is when

    - the two ids after it left it as it was: decoders drop blanks before punctuation (`n`, `'`, `t`) and at the end;
    - it ends in no half character: a token may end inside one;
    - a *separator* stands at its end or behind it. Decoders with byte fallback (LLaMA's kind) read the bytes of a run
      together, and one that fits no character spoils those before it. Without `separates` an id is taken for a
      separator if its text cannot be that of a single byte.

    White space at the end is held back, for answers do not end in it, and none stands at the beginning.

    Args:
        decode: Ids to text.
        separates: Whether what stands before an id, and its own text, stay as they are whatever follows; see
            `cobra_kit.interfaces.Tokenizer`. None: told from the text, so that characters of one byte come later.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], separates: Callable[[int], bool] | None = None) -> None:
        self._decode = decode
        self._separates = separates
        self._given: list[str] = []
        self._start = 0  # the window's first id
        self._read = 0  # ids that have been looked at
        self._text = ""  # of the window, without the ids that are new
        self._same = 0  # characters of it that the one before began with, too
        self._done = 0  # characters of it that were given
        self._settled = 0  # characters of it that no byte behind them can spoil
        self._try_at = _WINDOW  # size of the window at which to try to leave ids behind

    def more(self, ids: Sequence[int]) -> str:
        """Returns what is new and settled in the text of `ids`, all of the answer so far; may be empty."""
        size = len(ids) - self._start
        # A long window is one that waits, say for a run of bytes to end: it is not decoded for every id.
        if len(ids) - self._read < max(1, size // (2 * _WINDOW)):
            return ""
        text = self._decode(ids[self._start :])
        same = _common(self._text, text)
        self._settle(ids[self._read :], text, same)
        piece = self._give(text, min(self._same, same, self._settled, len(text.rstrip(_HALF))))
        self._read, self._text, self._same = len(ids), text, same
        if size >= self._try_at:
            self._shorten(ids)
        return piece

    def rest(self, ids: Sequence[int]) -> str:
        """Returns what is new in the text of `ids`, the whole answer.

        Raises:
            TextError: The decoder has changed text that was given already.
        """
        whole, given = self._decode(ids).strip(), "".join(self._given)
        if not whole.startswith(given):
            raise TextError(
                "the tokenizer's decoder changed text that had been given: the pieces together are not the answer",
                hint="Take the whole answer from generate; a stream needs a decoder that looks a few tokens back.",
            )
        self._given = [whole]
        return whole[len(given) :]

    def _settle(self, new: Sequence[int], text: str, same: int) -> None:
        """Notes how much of the window's text is behind a separator, or is one.

        Args:
            new: The ids behind those of the text before.
            text: The text of the window with the new ids.
            same: Characters that both begin with.
        """
        if self._separates is not None:
            if self._separates(new[-1]):
                self._settled = len(text)
            elif any(map(self._separates, new)):
                self._settled = max(self._settled, same)
        elif same == len(self._text):
            added = text[same:]
            if _HALF in added:  # maybe a byte that spoils a run, of which a blank at the beginning was not seen before
                return
            if len(new) == 1 and (len(added) > 1 or not added.isascii()):
                self._settled = len(text)
            elif len(added) > len(new):  # a byte adds one character at most
                self._settled = max(self._settled, same)

    def _give(self, text: str, end: int) -> str:
        """Returns the piece of the window's text up to a character, without white space at the answer's two ends."""
        piece = text[self._done : end].rstrip()
        if not piece:
            return ""
        self._done += len(piece)
        if not self._given:
            piece = piece.lstrip()
        self._given.append(piece)
        return piece

    def _shorten(self, ids: Sequence[int]) -> None:
        """Leaves all but the last ids behind if the text of these stays the same without those before them."""
        start = len(ids) - _CONTEXT
        text = self._decode(ids[start:])
        gone = len(self._text) - len(text)
        # The context begins with something that was given and is not blank: decoders strip blanks at the beginning.
        if self._text.endswith(text) and text[: max(0, self._done - gone)].strip():
            self._start, self._text, self._try_at = start, text, _WINDOW
            self._same, self._done, self._settled = self._same - gone, self._done - gone, self._settled - gone
        else:
            size = len(ids) - self._start
            self._try_at = size + max(1, size // _WINDOW)


def stream_text(
    model: MultimodalModule, batch: Batch, *, max_new_tokens: int, sampling: Sampling = GREEDY
) -> Iterator[str]:
    """Yields the answer to one prompt in pieces; waits for the device after every token.

    Args:
        model: The composed model, in eval mode while a piece is made.
        batch: One row, collated for generation, on the model's device.
        max_new_tokens: Most tokens of the answer.
        sampling: How the next token is chosen from the logits.

    Raises:
        TextError: The tokenizer's decoder changed text that was given already.
    """
    tokenizer = model.processor.codec.tokenizer
    pieces = TextPieces(tokenizer.decode, getattr(tokenizer, "separates", None))
    session = DecodeSession(model, batch, DecodeSettings(max_new_tokens, [tokenizer.eos_id], sampling))
    session.prefill()
    ids = session.tokens()[0]
    while not session.finished():
        if piece := pieces.more(ids):
            yield piece
        session.advance()
        ids += session.tokens(len(ids))[0]
    if piece := pieces.rest(ids):
        yield piece


def _common(first: str, second: str) -> int:
    """Returns how many characters two texts begin with together."""
    if second.startswith(first):
        return len(first)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
