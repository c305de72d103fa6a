"""A conversation to a `TextRow`: ids, labels, and where its images stand.

Each template segment is tokenised as a whole, clean of markers, so an image never changes how the words around it are
cut. A marker's character is then mapped to a token: the first whose text, leading blanks aside, starts there or later.
So an image before a word stands before that word's token though the token may begin with the blank in front of it, and
a marker inside a token counts as behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cobra_kit.errors import TextError
from cobra_kit.interfaces import IGNORE_INDEX, TextCodec, TextRow, Tokenizer
from cobra_kit.text.markers import IMAGE_MARKER, remove_markers


@dataclass(frozen=True, slots=True)
class EncodedRow(TextRow):
    """A `TextRow` that says how much was cut from it.

    Args:
        cut_tokens: Tokens beyond the codec's `max_text_tokens` that were dropped from the end.
    """

    cut_tokens: int = 0

    @property
    def supervised_tokens(self) -> int:
        """Returns the number of tokens that carry loss."""
        return sum(label != IGNORE_INDEX for label in self.labels)


def encode_conversation(
    turns: Sequence[tuple[str, str | None]],
    codec: TextCodec,
    *,
    num_images: int,
    for_generation: bool = False,
    where: str | None = None,
) -> EncodedRow:
    """Returns the row of a conversation; loss is on the answers and their end of text only.

    Without any marker, all images stand before the first token of the first message.

    A row for training that is too long is cut at the end (`cut_tokens` says by how much); images whose place was cut
    off stand at the end. A prompt for generation is never cut, for it would no longer ask its question.

    Args:
        turns: (question, answer) pairs; questions may hold `<image>` markers.
        codec: Tokenizer, template and the longest text.
        num_images: How many images the conversation has.
        for_generation: The last answer is None and is to be generated.
        where: Which row this is, for error messages.

    Raises:
        TextError: Markers and images differ in number, an answer holds a marker or is missing, the prompt is too
            long, or nothing to learn is left after the cut.
    """
    questions = [remove_markers(question) for question, _ in turns]
    _check_markers(turns, sum(len(positions) for _, positions in questions), num_images, where)
    clean = [(text, answer) for (text, _), (_, answer) in zip(questions, turns, strict=True)]
    try:
        segments = codec.template.render(clean, for_generation=for_generation)
    except TextError as error:
        raise TextError(error.message, where=where, hint=error.hint) from error
    if sum(segment.message is not None for segment in segments) != len(turns):
        raise TextError(f"{type(codec.template).__name__} does not give one message per turn", where=where)

    ids: list[int] = []
    labels: list[int] = []
    slots: list[int] = []
    question_end: int | None = None
    answer_start: int | None = None
    marks = iter([positions for _, positions in questions])
    for segment in segments:
        begin = len(ids)
        tokens, offsets = _tokenise(codec.tokenizer, segment.text, where)
        if segment.message is not None:
            first, last = segment.message
            starts = [_text_start(segment.text, *span) for span in offsets]
            positions = next(marks)
            if question_end is None:
                question_end = begin + _first_from(starts, last)
                if not any(mark for _, mark in questions):
                    positions = (0,) * num_images
            slots += [begin + _first_from(starts, first + position) for position in positions]
        if segment.supervised and answer_start is None:
            answer_start = begin
        ids += tokens
        labels += tokens if segment.supervised else [IGNORE_INDEX] * len(tokens)
    row = EncodedRow(
        ids=tuple(ids),
        labels=tuple(labels),
        image_slots=tuple(slots),
        question_end=len(ids) if question_end is None else question_end,
        answer_start=len(ids) if answer_start is None else answer_start,
    )
    return _fit(row, codec.max_text_tokens, for_generation, where)


def encode_caption(caption: str, codec: TextCodec, *, num_images: int = 1, where: str | None = None) -> EncodedRow:
    """Returns the row of a bare caption behind its images; every token carries loss (the align stage).

    Raises:
        TextError: The caption is empty or holds a marker.
    """
    if IMAGE_MARKER in caption:
        raise TextError(
            f"the caption holds an {IMAGE_MARKER} marker: {_shorten(caption)}",
            where=where,
            hint="A caption is what the model learns to say; remove the marker.",
        )
    if not caption.strip():
        raise TextError("the caption is empty", where=where, hint="Drop the row; it teaches nothing.")
    ids: list[int] = []
    labels: list[int] = []
    for segment in codec.template.render_caption(caption):
        tokens, _ = _tokenise(codec.tokenizer, segment.text, where)
        ids += tokens
        labels += tokens if segment.supervised else [IGNORE_INDEX] * len(tokens)
    row = EncodedRow(tuple(ids), tuple(labels), (0,) * num_images, question_end=0, answer_start=0)
    return _fit(row, codec.max_text_tokens, False, where)


def _check_markers(turns: Iterable[tuple[str, str | None]], markers: int, num_images: int, where: str | None) -> None:
    for number, (_, answer) in enumerate(turns, start=1):
        if answer is not None and IMAGE_MARKER in answer:
            raise TextError(
                f"the answer of turn {number} holds an {IMAGE_MARKER} marker: {_shorten(answer)}",
                where=where,
                hint="Markers belong in questions; an answer is text that the model learns to say.",
            )
    if markers not in (0, num_images):
        raise TextError(
            f"{markers} {IMAGE_MARKER} marker(s) in the questions, but {num_images} image(s)",
            where=where,
            hint="Write one marker per image, or none at all to place every image before the first question.",
        )


def _tokenise(tokenizer: Tokenizer, text: str, where: str | None) -> tuple[list[int], list[tuple[int, int]]]:
    try:
        return tokenizer.encode_with_offsets(text)
    except TextError as error:
        raise TextError(error.message, where=where, hint=error.hint) from error


def _text_start(text: str, start: int, end: int) -> int:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()) if piece.strip() else start


def _first_from(starts: Sequence[int], position: int) -> int:
    return next((i for i, start in enumerate(starts) if start >= position), len(starts))


def _fit(row: EncodedRow, limit: int, for_generation: bool, where: str | None) -> EncodedRow:
    """Returns the row cut to `limit` tokens, or refuses what a cut would make senseless."""
    length = len(row.ids)
    if for_generation:
        if length > limit:
            raise TextError(
                f"the prompt has {length} text tokens; this model takes {limit}",
                where=where,
                hint="Shorten the question, or raise the backbone's `max_text_tokens`.",
            )
        return row
    if length > limit:
        row = EncodedRow(
            ids=row.ids[:limit],
            labels=row.labels[:limit],
            image_slots=tuple(min(slot, limit) for slot in row.image_slots),
            question_end=min(row.question_end, limit),
            answer_start=min(row.answer_start, limit),
            cut_tokens=length - limit,
        )
    if not row.supervised_tokens:
        raise TextError(
            f"nothing to learn is left: the answer begins beyond the first {limit} of {length} text tokens",
            where=where,
            hint="Shorten the question, raise the backbone's `max_text_tokens`, or drop the row.",
        )
    return row


def _shorten(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 1] + "…")
