"""A conversation to a `TextRow`: ids, labels, and where its images stand.

Each template segment is tokenised as a whole, clean of markers, so an image never changes how the words around it are
cut. A marker's character is then mapped to a token: the first whose text, leading blanks aside, starts there or later.
So an image before a word stands before that word's token though the token may begin with the blank in front of it, and
a marker inside a token counts as behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from cobra_kit.errors import TextError, kind_of
from cobra_kit.interfaces import IGNORE_INDEX, PromptTemplate, TemplateSegment, TextCodec, TextRow, Tokenizer
from cobra_kit.text.markers import IMAGE_MARKER, remove_markers
from cobra_kit.text.templates import check_answers, check_turns


@dataclass(frozen=True, slots=True)
class EncodedRow(TextRow):
    """A `TextRow` that says how much was cut from it.

    Args:
        cut_tokens: Tokens beyond the codec's `max_text_tokens` that were dropped from the end.
        cut_supervised: How many of them would have carried loss.
    """

    cut_tokens: int = 0
    cut_supervised: int = 0

    @property
    def supervised_tokens(self) -> int:
        """Returns the number of tokens that carry loss."""
        return sum(label != IGNORE_INDEX for label in self.labels)


class NothingLeftError(TextError):
    """The cut left a row nothing to learn.

    Args:
        message: What is wrong, as one line.
        lost: The whole row, as if all of it had been cut.
        where: The row that is left empty.
        hint: The action that helps.
    """

    def __init__(self, message: str, lost: EncodedRow, *, where: str | None, hint: str) -> None:
        super().__init__(message, where=where, hint=hint)
        self.cut_tokens, self.cut_supervised = len(lost.ids), lost.supervised_tokens


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
            long, or nothing to learn is left after the cut; or the turns are no pairs of texts.
    """
    check_turns(turns, where)
    questions = [remove_markers(question) for question, _ in turns]
    _check_markers(turns, sum(len(positions) for _, positions in questions), num_images, where)
    questions = _arranged(questions, codec.template, num_images)
    clean = [(text, answer) for (text, _), (_, answer) in zip(questions, turns, strict=True)]
    with _placed(where):
        check_answers(turns, for_generation=for_generation)
        pieces = _tokenise(codec.template.render(clean, for_generation=for_generation), codec.tokenizer)
    messages = [(piece, piece.segment.message) for piece in pieces if piece.segment.message is not None]
    if len(messages) != len(turns):
        raise TextError(
            f"{type(codec.template).__name__} gives {len(messages)} messages for {len(turns)} turns", where=where
        )
    # Where an image stands is a place in the text until the tokeniser has said which token begins there.
    slots = [
        piece.token_at(start + position)
        for (piece, (start, _)), (_, positions) in zip(messages, questions, strict=True)
        for position in positions
    ]
    first, (start, end) = messages[0]
    row = EncodedRow(
        ids=tuple(chain.from_iterable(piece.ids for piece in pieces)),
        labels=tuple(chain.from_iterable(piece.labels for piece in pieces)),
        image_slots=tuple(slots) or (first.token_at(start),) * num_images,
        question_end=first.token_at(end),
        answer_start=next((p.begin for p in pieces if p.segment.supervised), pieces[-1].end),
    )
    return _fit(row, codec.max_text_tokens, for_generation, where)


def encode_caption(caption: str, codec: TextCodec, *, num_images: int = 1, where: str | None = None) -> EncodedRow:
    """Returns the row of a bare caption behind its images; every token carries loss (the align stage).

    Raises:
        TextError: The caption is empty or holds a marker.
    """
    if not isinstance(caption, str):
        raise TextError(f"a caption is a text, not {kind_of(caption)}", where=where)
    if IMAGE_MARKER in caption:
        raise TextError(
            f"the caption holds an {IMAGE_MARKER} marker: {_shorten(caption)}",
            where=where,
            hint="A caption is what the model learns to say; remove the marker.",
        )
    if not caption.strip():
        raise TextError("the caption is empty", where=where, hint="Drop the row; it teaches nothing.")
    with _placed(where):
        pieces = _tokenise(codec.template.render_caption(caption), codec.tokenizer)
    row = EncodedRow(
        ids=tuple(chain.from_iterable(piece.ids for piece in pieces)),
        labels=tuple(chain.from_iterable(piece.labels for piece in pieces)),
        image_slots=(0,) * num_images,
        question_end=0,
        answer_start=0,
    )
    return _fit(row, codec.max_text_tokens, False, where)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A tokenised segment: its first token is number `begin` of the row, its text starts at `starts` (characters)."""

    segment: TemplateSegment
    begin: int
    ids: list[int]
    starts: list[int]

    @property
    def end(self) -> int:
        return self.begin + len(self.ids)

    @property
    def labels(self) -> list[int]:
        return self.ids if self.segment.supervised else [IGNORE_INDEX] * len(self.ids)

    def token_at(self, character: int) -> int:
        """Returns the row's first token, of this piece, whose text starts at `character` or later."""
        return next((i for i, start in enumerate(self.starts, self.begin) if start >= character), self.end)


def _tokenise(segments: Sequence[TemplateSegment], tokenizer: Tokenizer) -> list[_Piece]:
    pieces: list[_Piece] = []
    begin = 0
    if not isinstance(segments, list | tuple):
        raise TextError(f"the template rendered {kind_of(segments)}, expected TemplateSegments")
    for segment in segments:
        ids, offsets = _encoded(segment, tokenizer)
        pieces.append(_Piece(segment, begin, ids, [_text_start(segment.text, *span) for span in offsets]))
        begin += len(ids)
    return pieces


def _encoded(segment: TemplateSegment, tokenizer: Tokenizer) -> tuple[list[int], list[tuple[int, int]]]:
    """Returns a segment's ids and their offsets, refusing what is none: templates and tokenizers may be a plugin's."""
    if not isinstance(segment, TemplateSegment):
        raise TextError(f"the template rendered {kind_of(segment)}, expected a TemplateSegment")
    encoded: object = tokenizer.encode_with_offsets(segment.text)
    if isinstance(encoded, tuple) and len(encoded) == 2:
        ids, offsets = encoded
        fits = isinstance(ids, list) and isinstance(offsets, list) and len(ids) == len(offsets)
        if fits and all(type(token) is int and token >= 0 for token in ids) and all(map(_is_span, offsets)):
            return ids, offsets
    raise TextError(
        f"encode_with_offsets of {type(tokenizer).__module__}.{type(tokenizer).__qualname__} returned "
        f"{kind_of(encoded)}, expected a list of ids and as many (start, end)",
        hint="That breaks the contract in cobra_kit.interfaces.Tokenizer; its author can mend it.",
    )


def _is_span(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and type(value[0]) is type(value[1]) is int


def _text_start(text: str, start: int, end: int) -> int:
    """Returns where a token's text starts, its leading blanks aside unless it is nothing else."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()) if piece.strip() else start


@contextmanager
def _placed(where: str | None) -> Iterator[None]:
    """Adds the row's place to errors of the template and the tokenizer, which do not know it."""
    try:
        yield
    except TextError as error:
        raise TextError(error.message, where=where, hint=error.hint) from error


def _arranged(
    questions: list[tuple[str, tuple[int, ...]]], template: PromptTemplate, num_images: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Returns the questions and their images' places as the template wants them, if it has a wish."""
    arrange = getattr(template, "arrange_images", None)
    if arrange is None or not questions:
        return questions
    if not any(positions for _, positions in questions):
        questions = [(questions[0][0], (0,) * num_images), *questions[1:]]
    return [arrange(text, positions) for text, positions in questions]


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
    whole = row
    if length > limit:
        row = EncodedRow(
            ids=row.ids[:limit],
            labels=row.labels[:limit],
            image_slots=tuple(min(slot, limit) for slot in row.image_slots),
            question_end=min(row.question_end, limit),
            answer_start=min(row.answer_start, limit),
            cut_tokens=length - limit,
            cut_supervised=sum(label != IGNORE_INDEX for label in row.labels[limit:]),
        )
    if not row.supervised_tokens:
        raise NothingLeftError(
            f"nothing to learn is left: the answer begins beyond the first {limit} of {length} text tokens",
            whole,
            where=where,
            hint="Shorten the question, raise the backbone's `max_text_tokens`, or drop the row.",
        )
    return row


def _shorten(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 1] + "…")
